"""Typed values in a state store."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Generic, TypeVar

from daprflow.client import state_many, state_saving, state_search
from daprflow.client.backoff import scattered
from daprflow.client.caller import Caller
from daprflow.client.state_many import Item, Items
from daprflow.client.state_search import Page
from daprflow.client.state_values import checked, decode
from daprflow.client.state_writes import (
    Concurrency,
    Consistency,
    Delete,
    Upsert,
    Write,
    item_of,
)
from daprflow.errors import EtagMismatch
from daprflow.protocol import state as calls
from daprflow.protocol.operations import NO_METADATA
from daprflow.protocol.queries import Filter, Sorting
from daprflow.protocol.state import BulkGet

T = TypeVar("T")

UPDATE_ATTEMPTS = 20
NO_CONTENT = 204

__all__ = ["Item", "Items", "Records", "Store"]


class Store:
    """One state store, by its component's name. Make it with ``client.state(name)``.

    Values are JSON. Bytes survive byte for byte and are what other SDKs read and write: as the
    runtime's HTTP API keeps JSON alone, they go over gRPC. A client with a transport of your own,
    which has no gRPC, writes them as a text with their base64 form and reads both forms.

    Raises:
        ValueError: the name is empty.

    Example:
        ```python
        store = client.state("statestore")
        item = await store.get("cart:ann", Cart)
        if item is not None:
            await store.set("cart:ann", item.value, etag=item.etag)
        ```
    """

    def __init__(self, caller: Caller, name: str) -> None:
        if not name:
            raise ValueError("a state store's name is empty; give the name of its component")
        self._caller = caller
        self._name = name

    @property
    def name(self) -> str:
        """The component's name."""
        return self._name

    async def get(
        self,
        key: str,
        payload: type[T],
        /,
        *,
        consistency: Consistency | None = None,
        metadata: Mapping[str, str] = NO_METADATA,
    ) -> Item[T] | None:
        """Return the value of ``key`` decoded to ``payload``, None where there is none.

        Args:
            key: any text without ``||``, which the runtime reserves.
            payload: what the value is; ``bytes`` gives what is stored as it is, and so does ``str``
                where that is no JSON text.
            consistency: "strong" reads what was last written, in stores with replicas.
            metadata: of the component, such as ``partitionKey``.

        Raises:
            msgspec.ValidationError: what is stored is not a ``payload``.
            SidecarError: the sidecar refused.

        Example:
            ```python
            item = await client.state("statestore").get("cart:ann", Cart)
            cart = item.value if item else Cart()
            ```
        """
        response = await self._caller.call(
            calls.get(self._name, checked(key), consistency or "", metadata)
        )
        if response.status == NO_CONTENT:
            return None
        what = f"the value of key '{key}' in state store '{self._name}'"
        return Item(
            decode(self._caller, response.body, payload, what),
            response.header("etag"),
            state_many.expiry(response.header("metadata.ttlexpiretime")),
        )

    async def get_many(
        self,
        keys: Iterable[str],
        payload: type[T],
        /,
        *,
        parallelism: int = 0,
        metadata: Mapping[str, str] = NO_METADATA,
    ) -> Items[T]:
        """Return the values of ``keys`` by key, None for those that are not stored.

        Args:
            keys: any texts without ``||``.
            payload: what each value is.
            parallelism: how many keys the runtime reads at one time; 0 leaves it to the runtime.
            metadata: of the component.

        Returns:
            a mapping; a key that could not be read raises its error when it is asked for, and is
            in ``failed``.

        Raises:
            SidecarError: the sidecar refused all of it.

        Example:
            ```python
            carts = await client.state("statestore").get_many(["cart:ann", "cart:bob"], Cart)
            ```
        """
        asked = BulkGet(tuple(keys), parallelism, dict(metadata) or None)

        async def single(key: str) -> Item[T] | None:
            return await self.get(key, payload, metadata=metadata)

        return await state_many.read(self._caller, self._name, asked, payload, single)

    async def set(
        self,
        key: str,
        value: object,
        /,
        *,
        etag: str | None = None,
        ttl: timedelta | None = None,
        concurrency: Concurrency | None = None,
        consistency: Consistency | None = None,
        metadata: Mapping[str, str] = NO_METADATA,
    ) -> None:
        """Store ``value``.

        Args:
            key: any text without ``||``, which the runtime reserves.
            value: anything msgspec encodes, a pydantic model, or bytes.
            etag: write only if the stored value still has this one.
            ttl: how long the store keeps the value, rounded up to whole seconds; None is for ever,
                also for a value that had a limit before.
            concurrency: "first-write" without an ETag writes only where nothing is stored. With an
                ETag it is the default, for some stores pass over an ETag otherwise.
            consistency: "strong" waits for every replica, in stores that have some.
            metadata: of the component, such as ``partitionKey``.

        Raises:
            EtagMismatch: somebody else wrote first.
            ValueError: an integer is beyond ±2^53; a runtime would round it.
            SidecarError: the sidecar refused.

        Example:
            ```python
            await client.state("statestore").set("cart:ann", Cart(), ttl=timedelta(hours=1))
            ```
        """
        write = Upsert(
            key,
            value,
            etag=etag,
            ttl=ttl,
            concurrency=concurrency,
            consistency=consistency,
            metadata=metadata,
        )
        await self._save(write)

    async def set_many(self, values: Mapping[str, object] | Iterable[Upsert], /) -> None:
        """Store several values, each for itself: given by key, or as `Upsert` with options.

        Args:
            values: by key; or several `Upsert`.

        Raises:
            BulkStateError: some were not written; ``failed`` says why, by key.
            ValueError: a value cannot be written; nothing was.

        Example:
            ```python
            await client.state("statestore").set_many({"cart:ann": Cart(), "cart:bob": Cart()})
            ```
        """
        await state_many.write(self._caller, self._name, state_many.as_upserts(values))

    async def delete(
        self,
        key: str,
        /,
        *,
        etag: str | None = None,
        concurrency: Concurrency | None = None,
        consistency: Consistency | None = None,
        metadata: Mapping[str, str] = NO_METADATA,
    ) -> None:
        """Delete ``key``; a missing one is no error.

        Args:
            key: any text without ``||``.
            etag: delete only if the stored value still has this one.
            concurrency: as for ``set``.
            consistency: as for ``set``.
            metadata: of the component, such as ``partitionKey``.

        Raises:
            EtagMismatch: ``etag`` is given and is not the stored one any more; most stores take
                a missing key for that, too.
            SidecarError: the sidecar refused.

        Example:
            ```python
            await client.state("statestore").delete("cart:ann")
            ```
        """
        write = Delete(
            key, etag=etag, concurrency=concurrency, consistency=consistency, metadata=metadata
        )
        await self._caller.call(calls.delete(self._name, item_of(write, self._caller.codecs)))

    async def delete_many(self, keys: Iterable[str | Delete], /) -> None:
        """Delete several keys, each for itself; give `Delete` for one with an ETag.

        Args:
            keys: any texts without ``||``, or `Delete` with options.

        Raises:
            BulkStateError: some were not deleted; ``failed`` says why, by key.

        Example:
            ```python
            await client.state("statestore").delete_many(["cart:ann", "cart:bob"])
            ```
        """
        await state_many.write(self._caller, self._name, state_many.as_deletes(keys))

    async def transaction(self, *writes: Write, metadata: Mapping[str, str] = NO_METADATA) -> None:
        """Do every `Upsert` and `Delete`, in this order, or none.

        On a store with an outbox each `Upsert` is published as well: its ``projection`` where it
        has one, else the value, as text unless its metadata say
        ``{"contentType": "application/json"}``.

        Args:
            writes: each an `Upsert` or a `Delete`.
            metadata: of the component, such as ``partitionKey``, for all of it.

        Raises:
            EtagMismatch: somebody else wrote one of the keys first. (``state.redis`` keeps what
                comes before it.)
            ValueError: a value cannot be written.
            SidecarError: the sidecar or the store refused, or has no transactions.

        Example:
            ```python
            store = client.state("statestore")
            await store.transaction(Upsert("order:7", Order("7")), Delete("cart:ann"))
            ```
        """
        await state_saving.transact(self._caller, self._name, writes, metadata)

    async def query(
        self,
        payload: type[T],
        /,
        where: Filter | None = None,
        *,
        sort: Sequence[Sorting] = (),
        limit: int | None = None,
        token: str = "",
        metadata: Mapping[str, str] = NO_METADATA,
    ) -> Page[T]:
        """Search the store by its values (alpha).

        Only some stores can: ``state.mongodb``, ``state.azure.cosmosdb``, ``state.postgresql`` v1,
        ``state.cockroachdb``, and ``state.redis`` with its JSON and search modules. They search
        what every app has stored.

        Args:
            payload: what each value is.
            where: such as ``EQ("state", "CA") & IN("person.org", ("A", "B"))``; None finds all.
            sort: ``ascending("person.id")`` or ``descending(...)``; add them up for several.
            limit: how many at most; None for all.
            token: of the page before.
            metadata: of the component, such as ``queryIndexName``.

        Returns:
            one page: what was found, and the token for the next one.

        Raises:
            SidecarError: the store cannot be searched, or refused this query.

        Example:
            ```python
            page = await client.state("statestore").query(Order, GTE("total", 100), limit=20)
            for key, item in page.items.items():
                print(key, item.value.total)
            ```
        """
        asked = state_search.query_of(where, sort, limit, token)
        return await state_search.search(self._caller, self._name, payload, asked, metadata)

    async def update(
        self,
        key: str,
        payload: type[T],
        change: Callable[[T | None], T],
        /,
        *,
        ttl: timedelta | None = None,
        attempts: int = UPDATE_ATTEMPTS,
        metadata: Mapping[str, str] = NO_METADATA,
    ) -> T:
        """Read ``key``, apply ``change`` and write the result if nobody else wrote in between.

        ``change`` gets None where there is no value yet. It is called again with the new value
        after each lost race, so it should do nothing but compute.

        Args:
            key: any text without ``||``.
            payload: what the value is.
            change: makes the new value of the old one.
            ttl: as for ``set``.
            attempts: how often the race may be lost.
            metadata: of the component.

        Returns:
            what was written.

        Raises:
            EtagMismatch: the race was lost as often as that.
            SidecarError: the sidecar refused.
            ValueError: ``attempts`` is below 1, or the new value cannot be written.

        Example:
            ```python
            def add_tea(cart: Cart | None) -> Cart:
                return Cart([*(cart.items if cart else ()), "tea"])

            await client.state("statestore").update("cart:ann", Cart, add_tea)
            ```
        """
        waits = scattered()
        for left in range(attempts - 1, -1, -1):
            item = await self.get(key, payload, metadata=metadata)
            value = change(None if item is None else item.value)
            etag = None if item is None else item.etag
            write = Upsert(
                key, value, etag=etag, ttl=ttl, concurrency="first-write", metadata=metadata
            )
            try:
                await self._save(write)
            except EtagMismatch:
                if not left:
                    raise
            else:
                return value
            await asyncio.sleep(next(waits))
        raise ValueError(f"an update was given {attempts} attempts; it needs at least 1")

    def records(self, payload: type[T], /, prefix: str = "") -> "Records[T]":
        """Return the part of this store that holds ``payload`` values.

        ``prefix`` stands before every key, and calls need name neither.

        Example:
            ```python
            carts = client.state("statestore").records(Cart, "cart:")
            item = await carts.get("ann")
            ```
        """
        return Records(self, payload, prefix)

    async def _save(self, write: Upsert) -> None:
        prepared = state_saving.prepare(self._caller, write)
        await state_saving.save(self._caller, self._name, (prepared,))


class Records(Generic[T]):
    """Values of one type in a state store. Make it with ``store.records(Cart, "cart:")``.

    Example:
        ```python
        carts = client.state("statestore").records(Cart, "cart:")
        await carts.set("ann", Cart())
        ```
    """

    def __init__(self, store: Store, payload: type[T], prefix: str) -> None:
        self._store = store
        self._payload = payload
        self._prefix = prefix

    async def get(self, key: str, /) -> Item[T] | None:
        """Return the value of ``key``; as `Store.get`.

        Example:
            ```python
            item = await client.state("statestore").records(Cart, "cart:").get("ann")
            ```
        """
        return await self._store.get(self._key(key), self._payload)

    async def get_many(self, keys: Iterable[str], /) -> dict[str, Item[T] | None]:
        """Return the values of ``keys``; the first that could not be read raises its error.

        Example:
            ```python
            found = await client.state("statestore").records(Cart, "cart:").get_many(["ann", "bob"])
            ```
        """
        names = list(keys)
        found = await self._store.get_many(map(self._key, names), self._payload)
        return {name: found[self._key(name)] for name in names}

    async def set(
        self, key: str, value: T, /, *, etag: str | None = None, ttl: timedelta | None = None
    ) -> None:
        """Store ``value``; as `Store.set`.

        Args:
            key: without the prefix.
            value: anything of the records' type.
            etag: as for `Store.set`.
            ttl: as for `Store.set`.

        Example:
            ```python
            await client.state("statestore").records(Cart, "cart:").set("ann", Cart())
            ```
        """
        await self._store.set(self._key(key), value, etag=etag, ttl=ttl)

    async def delete(self, key: str, /, *, etag: str | None = None) -> None:
        """Delete ``key``; as `Store.delete`.

        Args:
            key: without the prefix.
            etag: as for `Store.delete`.

        Example:
            ```python
            await client.state("statestore").records(Cart, "cart:").delete("ann")
            ```
        """
        await self._store.delete(self._key(key), etag=etag)

    async def update(
        self, key: str, change: Callable[[T | None], T], /, *, ttl: timedelta | None = None
    ) -> T:
        """Read, change and write ``key``; as `Store.update`.

        Args:
            key: without the prefix.
            change: makes the new value of the old one, which is None where there is none.
            ttl: as for `Store.set`.

        Returns:
            what was written.

        Example:
            ```python
            carts = client.state("statestore").records(Cart, "cart:")
            await carts.update("ann", lambda cart: cart or Cart())
            ```
        """
        return await self._store.update(self._key(key), self._payload, change, ttl=ttl)

    def _key(self, key: str) -> str:
        return self._prefix + checked(key)
