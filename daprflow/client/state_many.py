"""Many keys of a state store in one call: what was found, and what failed for which key."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Generic, TypeVar

import msgspec

from daprflow.client.caller import Caller
from daprflow.client.state_saving import Prepared, prepare, save
from daprflow.client.state_values import checked, decode
from daprflow.client.state_writes import Delete, Upsert, Write
from daprflow.errors import BulkStateError, SidecarError
from daprflow.protocol import state as calls
from daprflow.protocol.state import BulkGet, BulkGetItem

T = TypeVar("T")

AT_ONCE = 32
"""Requests under way at one time where each key needs its own."""


class Item(msgspec.Struct, Generic[T], frozen=True):
    """A stored value.

    Attributes:
        value: decoded to the type that was asked for.
        etag: changes with every write; empty where the store has none.
        expires: when the store forgets the value, in UTC; None where it never does.

    Example:
        ```python
        item = await client.state("statestore").get("cart:ann", Cart)
        if item is not None:
            print(item.value.items, item.etag, item.expires)
        ```
    """

    value: T
    etag: str
    expires: datetime | None = None


class Items(Mapping[str, Item[T] | None]):
    """What was found under each of many keys, None under those that are not stored.

    Asking for a key that could not be read raises its error.

    Attributes:
        failed: the error of each key that could not be read: the store's, or a
            `msgspec.ValidationError` where the value is of another type.

    Example:
        ```python
        carts = await client.state("statestore").get_many(["cart:ann", "cart:bob"], Cart)
        for key, item in carts.items():
            print(key, item.value if item else "is not there")
        ```
    """

    def __init__(
        self,
        found: Mapping[str, Item[T] | None],
        failed: Mapping[str, SidecarError | msgspec.ValidationError],
    ) -> None:
        self._found = found
        self.failed = failed

    def __getitem__(self, key: str) -> Item[T] | None:
        if key in self.failed:
            raise self.failed[key]
        return self._found[key]

    def __iter__(self) -> Iterator[str]:
        yield from self._found
        yield from self.failed

    def __len__(self) -> int:
        return len(self._found) + len(self.failed)


Single = Callable[[str], Awaitable[Item[T] | None]]
"""Reads one key."""


async def read(
    caller: Caller, store: str, asked: BulkGet, payload: type[T], single: Single[T]
) -> Items[T]:
    """Read several keys in one request, where the runtime can say them in one.

    It cannot where a value is not JSON, and changes the spaces of one that is: bytes are read
    one by one.
    """
    keys = tuple(dict.fromkeys(map(checked, asked.keys)))
    if not keys:
        return Items({}, {})
    if payload is not bytes:
        request = calls.get_many(store, msgspec.structs.replace(asked, keys=keys))
        response = await caller.call(request)
        if response.body:
            entries = caller.document(response, list[BulkGetItem], "the answer to a bulk get")
            return _items(caller, store, entries, payload)
    found: dict[str, Item[T] | None] = {}
    failed: dict[str, SidecarError | msgspec.ValidationError] = {}
    outcomes = await _each(keys, single)
    for key, outcome in zip(keys, outcomes, strict=True):
        if isinstance(outcome, SidecarError | msgspec.ValidationError):
            failed[key] = outcome
        elif isinstance(outcome, BaseException):
            raise outcome
        else:
            found[key] = outcome
    return Items(found, failed)


async def write(caller: Caller, store: str, writes: Sequence[Write]) -> None:
    """Do several writes, each for itself.

    Those that nothing can refuse for what is stored go in one request; the others need their own,
    for an answer to several does not say which one failed.

    Raises:
        BulkStateError: some were not done.
    """
    # A wrong one is refused before any is sent.
    prepared = [prepare(caller, each) for each in writes]
    pairs = list(zip(writes, prepared, strict=True))
    together = [pair for pair in pairs if isinstance(pair[0], Upsert) and not pair[0].guarded]
    alone = [pair for pair in pairs if isinstance(pair[0], Delete) or pair[0].guarded]
    if together:
        try:
            await save(caller, store, [ready for _, ready in together])
        except SidecarError:
            if len(together) == 1 and not alone:
                raise
            alone += together

    async def send(pair: tuple[Write, Prepared]) -> None:
        each, ready = pair
        if isinstance(each, Delete):
            await caller.call(calls.delete(store, ready.item))
        else:
            await save(caller, store, (ready,))

    outcomes = await _each(alone, send)
    failed = _refusals([each for each, _ in alone], outcomes)
    if failed:
        raise BulkStateError(
            f"{len(failed)} of {len(writes)} keys were not written in state store '{store}', "
            f"for one: {next(iter(failed.values()))}",
            failed,
        )


def _refusals(
    writes: Sequence[Write], outcomes: Sequence[BaseException | None]
) -> dict[str, SidecarError]:
    failed: dict[str, SidecarError] = {}
    for each, outcome in zip(writes, outcomes, strict=True):
        if isinstance(outcome, SidecarError):
            failed[each.key] = outcome
        elif outcome is not None:
            raise outcome
    return failed


def as_deletes(keys: Iterable[str | Delete]) -> list[Write]:
    """Return what is to be deleted as values."""
    return [Delete(key) if isinstance(key, str) else key for key in keys]


def as_upserts(values: Mapping[str, object] | Iterable[Upsert]) -> list[Write]:
    """Return what is to be stored as values."""
    if isinstance(values, Mapping):
        return [Upsert(key, value) for key, value in values.items()]
    return list(values)


def expiry(text: str) -> datetime | None:
    """Read ``ttlExpireTime``; empty means never."""
    return msgspec.convert(text, datetime) if text else None


def _items(
    caller: Caller, store: str, entries: Sequence[BulkGetItem], payload: type[T]
) -> Items[T]:
    found: dict[str, Item[T] | None] = {}
    failed: dict[str, SidecarError | msgspec.ValidationError] = {}
    for entry in entries:
        what = f"the value of key '{entry.key}' in state store '{store}'"
        if entry.error:
            failed[entry.key] = SidecarError(f"{what} could not be read: {entry.error}")
        elif entry.data is msgspec.UNSET:
            found[entry.key] = None
        else:
            expires = expiry((entry.metadata or {}).get("ttlExpireTime", ""))
            try:
                value = decode(caller, bytes(entry.data), payload, what)
            except msgspec.ValidationError as error:
                failed[entry.key] = error
            else:
                found[entry.key] = Item(value, entry.etag or "", expires)
    return Items(found, failed)


S = TypeVar("S")
R = TypeVar("R")


async def _each(things: Sequence[S], call: Callable[[S], Awaitable[R]]) -> list[R | BaseException]:
    """Call for each, some at one time, and return what became of each."""
    places = asyncio.Semaphore(AT_ONCE)

    async def one(thing: S) -> R:
        async with places:
            return await call(thing)

    return await asyncio.gather(*map(one, things), return_exceptions=True)
