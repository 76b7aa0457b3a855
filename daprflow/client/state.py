"""Typed values in a state store."""

import math
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Generic, TypeVar

import msgspec

from daprflow.client.caller import Caller
from daprflow.errors import EtagMismatch
from daprflow.handlers import codec
from daprflow.protocol import operations
from daprflow.protocol.operations import StateItem, StateOptions

T = TypeVar("T")

UPDATE_ATTEMPTS = 20
NO_CONTENT = 204


class Item(msgspec.Struct, Generic[T], frozen=True):
    """A stored value.

    Attributes:
        etag: changes with every write; empty where the store has none.
        expires: when the store forgets the value, in UTC; None where it never does.
    """

    value: T
    etag: str
    expires: datetime | None = None


class Store:
    """One state store, by its component's name. Make it with ``client.state(name)``."""

    def __init__(self, caller: Caller, name: str) -> None:
        if not name:
            raise ValueError("a state store's name is empty; give the name of its component")
        self._caller = caller
        self._name = name

    async def get(self, key: str, payload: type[T], /) -> Item[T] | None:
        """Return the value of ``key`` decoded to ``payload``, None where there is none.

        Raises:
            msgspec.ValidationError: what is stored is not a ``payload``.
            SidecarError: the sidecar refused.
        """
        response = await self._caller.call(operations.get_state(self._name, _checked(key)))
        if response.status == NO_CONTENT:
            return None
        what = f"the value of key '{key}' in state store '{self._name}'"
        return Item(
            self._caller.decode(response.body, payload, what),
            response.header("etag"),
            _expiry(response.header("metadata.ttlexpiretime")),
        )

    async def set(
        self,
        key: str,
        value: object,
        /,
        *,
        etag: str | None = None,
        ttl: timedelta | None = None,
    ) -> None:
        """Store ``value`` as JSON.

        Args:
            key: any text without ``||``, which the runtime reserves.
            value: anything msgspec encodes, or a pydantic model.
            etag: write only if the stored value still has this one.
            ttl: how long the store keeps the value, rounded up to whole seconds; None is for ever,
                also for a value that had a limit before.

        Raises:
            EtagMismatch: somebody else wrote first.
            SidecarError: the sidecar refused.
        """
        await self._save(key, value, etag=etag, ttl=ttl, first_write=bool(etag))

    async def delete(self, key: str, /, *, etag: str | None = None) -> None:
        """Delete ``key``; a missing one is no error.

        Raises:
            EtagMismatch: ``etag`` is given and is not the stored one any more.
            SidecarError: the sidecar refused.
        """
        await self._caller.call(operations.delete_state(self._name, _checked(key), etag))

    async def update(
        self,
        key: str,
        payload: type[T],
        change: Callable[[T | None], T],
        /,
        *,
        ttl: timedelta | None = None,
    ) -> T:
        """Read ``key``, apply ``change`` and write the result if nobody else wrote in between.

        ``change`` gets None where there is no value yet. It is called again with the new value
        after each lost race, so it should do nothing but compute.

        Raises:
            EtagMismatch: the race was lost 20 times.
            SidecarError: the sidecar refused.
        """
        try:
            return await self._update_once(key, payload, change, ttl)
        except EtagMismatch:
            return await self._update_again(key, payload, change, ttl)

    async def _update_again(
        self, key: str, payload: type[T], change: Callable[[T | None], T], ttl: timedelta | None
    ) -> T:
        import stamina  # noqa: PLC0415 - only paid for when a race is lost

        async for attempt in stamina.retry_context(
            on=EtagMismatch,
            attempts=UPDATE_ATTEMPTS - 1,
            timeout=None,
            wait_initial=0.005,
            wait_max=0.25,
            wait_jitter=0.02,
        ):
            with attempt:
                return await self._update_once(key, payload, change, ttl)
        raise AssertionError  # pragma: no cover - the loop returns or raises

    async def _update_once(
        self, key: str, payload: type[T], change: Callable[[T | None], T], ttl: timedelta | None
    ) -> T:
        item = await self.get(key, payload)
        value = change(None if item is None else item.value)
        await self._save(
            key, value, etag=None if item is None else item.etag, ttl=ttl, first_write=True
        )
        return value

    async def _save(
        self,
        key: str,
        value: object,
        *,
        etag: str | None,
        ttl: timedelta | None,
        first_write: bool,
    ) -> None:
        item = StateItem(
            key=_checked(key),
            value=msgspec.Raw(codec.encode(value)),
            etag=etag or None,
            metadata=None if ttl is None else {"ttlInSeconds": str(_seconds(ttl))},
            options=StateOptions(concurrency="first-write") if first_write else None,
        )
        await self._caller.call(operations.save_state(self._name, (item,)))


def _checked(key: str) -> str:
    if not key:
        raise ValueError("a state key is empty; the runtime cannot address it")
    return key


def _seconds(ttl: timedelta) -> int:
    seconds = math.ceil(ttl.total_seconds())
    if seconds <= 0:  # the runtime would take it for "for ever"
        raise ValueError(f"a state's ttl is {ttl}; it must be longer than 0")
    return seconds


def _expiry(text: str) -> datetime | None:
    return msgspec.convert(text, datetime) if text else None
