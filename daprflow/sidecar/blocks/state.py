"""The state building block: stores by name, key prefixes, options, and Dapr's errors."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

import msgspec

from daprflow.protocol import faults, queries
from daprflow.protocol.queries import QueryError
from daprflow.protocol.state import StateOptions
from daprflow.sidecar.blocks.pubsub_publish import NO_CONTEXT, Trace
from daprflow.sidecar.components.base import (
    ComponentContext,
    ComponentError,
    EtagConflict,
    EtagInvalid,
    FoundState,
    ListingStore,
    QueryingStore,
    StateStore,
    StateWrite,
    StoredValue,
)

if TYPE_CHECKING:
    from daprflow.sidecar.runtime import Runtime

SEPARATOR = "||"
_DEFAULTS = StateOptions()
_CONCURRENCY = frozenset({"", "first-write", "last-write"})
_CONSISTENCY = frozenset({"", "eventual", "strong"})


class StateChange(msgspec.Struct, frozen=True):
    """One write as a caller asks for it; ``data`` None deletes.

    Attributes:
        key: without any prefix.
        metadata: the item's own, with the request's merged over it.
        raw: the data are bytes as the caller has them, and no JSON document.
    """

    key: str
    data: bytes | None
    etag: str | None = None
    metadata: Mapping[str, str] | None = None
    options: StateOptions = _DEFAULTS
    raw: bool = False


@dataclass(frozen=True, slots=True)
class _Store:
    name: str
    component: StateStore
    prefix: str


class StateBlock:
    """The state stores that one app sees."""

    def __init__(self, runtime: "Runtime") -> None:
        self._app_id = runtime.app_id
        self._outbox = runtime.outbox
        namespace = runtime.options.namespace
        self._stores = {
            loaded.resource.name: _Store(
                loaded.resource.name,
                cast("StateStore", loaded.instance),
                key_prefix(loaded.context, runtime.app_id, namespace),
            )
            for loaded in runtime.components
            if loaded.kind == "state"
        }
        self._timed = runtime.telemetry.timed("state", self._stores.__contains__)

    def require(self, store: str) -> None:
        """Raise the fault of an unknown store's name; nothing else happens."""
        self._store(store)

    def check(self, store: str, key: str) -> None:
        """Raise the fault of an unknown store's name or of a key that cannot be."""
        self._key(self._store(store), key)

    async def get(self, store: str, key: str) -> StoredValue | None:
        """Return what is stored under ``key``, None when there is nothing."""
        with self._timed(store, "get"):
            found = self._store(store)
            full = self._key(found, key)
            try:
                return await found.component.get(full)
            except ComponentError as error:
                raise faults.state_get(store, key, str(error)) from error

    async def get_many(
        self, store: str, keys: Sequence[str]
    ) -> list[tuple[str, StoredValue | ComponentError | None]]:
        """Return every key with what is stored under it, or why not, in the store's order."""
        with self._timed(store, "bulk_get"):
            found = self._store(store)
            full = [self._key(found, key) for key in keys]
            try:
                values = await found.component.get_many(full)
            except ComponentError as error:
                raise faults.state_bulk_get(str(error)) from error
            pairs = list(zip(keys, values, strict=True))
            return _missing_last(pairs) if found.component.missing_last else pairs

    async def save(self, store: str, changes: Sequence[StateChange]) -> None:
        """Do the writes: one as it is, several side by side and not as a transaction."""
        with self._timed(store, "set"):
            found = self._store(store)
            keys = [self._key(found, change.key) for change in changes]
            try:
                await _write_all(found.component, keys, changes)
            except ComponentError as error:
                raise faults.state_save(store, _reason(error), _status(error)) from error

    async def delete(self, store: str, change: StateChange) -> None:
        """Do one delete; a missing key is no error."""
        with self._timed(store, "delete"):
            found = self._store(store)
            key = self._key(found, change.key)
            try:
                await found.component.write(_write(found.component, key, change))
            except ComponentError as error:
                raise faults.state_delete(change.key, _reason(error), _status(error)) from error

    async def delete_many(self, store: str, changes: Sequence[StateChange]) -> None:
        """Do several deletes side by side, not as a transaction."""
        with self._timed(store, "bulk_delete"):
            found = self._store(store)
            keys = [self._key(found, change.key) for change in changes]
            try:
                await _write_all(found.component, keys, changes)
            except ComponentError as error:
                raise faults.state_delete_many(store, _reason(error), _status(error)) from error

    async def transact(
        self, store: str, changes: Sequence[StateChange], trace: Trace = NO_CONTEXT
    ) -> None:
        """Do every write or none; on a store with an outbox what is stored is published, too."""
        with self._timed(store, "transaction"):
            found = self._store(store)
            for change in changes:
                if SEPARATOR in change.key:
                    raise faults.state_illegal_key(found.name, change.key, named=False)
            if not changes:
                return
            changes, markers = await self._outbox.announce(store, changes, trace)
            keys = [self._key(found, change.key) for change in changes]
            try:
                writes = [
                    _write(found.component, key, change)
                    for key, change in zip(keys, changes, strict=True)
                ]
                await found.component.transact([*writes, *markers])
            except ComponentError as error:
                raise faults.state_transaction(_reason(error)) from error

    async def query(self, store: str, body: bytes, metadata: Mapping[str, str]) -> FoundState:
        """Search a store; the keys that are found stand without their prefix."""
        with self._timed(store, "query"):
            component = self._store(store).component
            if not isinstance(component, QueryingStore):
                raise faults.state_query_unsupported(store)
            try:
                asked = queries.decode(body)
            except QueryError as error:
                text = f"failed to parse JSON query body: {error}"
                raise faults.state_query(store, text) from error
            try:
                found = await component.query(asked, metadata)
            except ComponentError as error:
                raise faults.state_query(store, str(error)) from error
            items = tuple((original_key(key), value) for key, value in found.items)
            return FoundState(items, found.token)

    async def keys(self, store: str, prefix: str) -> list[str]:
        """Return the app's own keys that begin with ``prefix``, sorted; actors' are not among them.

        Dapr has no such call: it is for our own commands.
        """
        with self._timed(store, "keys"):
            found = self._store(store)
            if not isinstance(found.component, ListingStore):
                raise faults.state_keys_unsupported(store)
            try:
                full = await found.component.keys(found.prefix + prefix, "")
            except ComponentError as error:
                raise faults.state_get(store, prefix, str(error)) from error
            keys = (key.removeprefix(found.prefix) for key in full)
            return sorted(key for key in keys if SEPARATOR not in key)

    def _store(self, name: str) -> _Store:
        store = self._stores.get(name)
        if store is None:
            if not self._stores:
                raise faults.state_not_configured(name, self._app_id)
            raise faults.state_not_found(name, self._app_id)
        return store

    def _key(self, store: _Store, key: str) -> str:
        if SEPARATOR in key:
            raise faults.state_illegal_key(store.name, key)
        return store.prefix + key


def key_prefix(context: ComponentContext, app_id: str, namespace: str) -> str:
    """Return what stands before every key of this app in a store, separator included.

    Raises:
        ComponentError: the component's ``keyPrefix`` holds the separator.
    """
    strategy = context.metadata.get("keyprefix", "").lower()
    if SEPARATOR in strategy:
        raise ComponentError(
            f"component '{context.name}' ({context.source or context.type}) has keyPrefix "
            f"'{strategy}', which can't contain '{SEPARATOR}'"
        )
    if strategy == "none":
        return ""
    names = {
        "": app_id,
        "appid": app_id,
        "name": context.name,
        "namespace": f"{namespace}.{app_id}" if namespace else app_id,
    }
    return names.get(strategy, strategy) + SEPARATOR


def original_key(key: str) -> str:
    """Return a key without its prefix: what follows the first separator, if there is one."""
    parts = key.split(SEPARATOR)
    return parts[1] if len(parts) > 1 else key


def expiry_text(expires: float) -> str:
    """Return a time as Dapr shows it in ``ttlExpireTime``: RFC 3339, whole seconds, UTC."""
    return datetime.fromtimestamp(expires, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _missing_last(
    pairs: Sequence[tuple[str, StoredValue | ComponentError | None]],
) -> list[tuple[str, StoredValue | ComponentError | None]]:
    """Return what a query for several keys gives: each once by its key, then what is not there."""
    found = {key: value for key, value in pairs if value is not None}
    ordered = sorted(found.items(), key=lambda pair: pair[0].encode())
    return [*ordered, *(pair for pair in pairs if pair[1] is None)]


async def _write_all(
    component: StateStore, keys: Sequence[str], changes: Sequence[StateChange]
) -> None:
    """Do the writes: a single one as it is, several side by side, each for itself."""

    async def write(key: str, change: StateChange) -> None:
        await component.write(_write(component, key, change))

    if len(keys) == 1:
        await write(keys[0], changes[0])
        return
    results = await asyncio.gather(*map(write, keys, changes), return_exceptions=True)
    failures = [result for result in results if isinstance(result, BaseException)]
    for failure in failures:
        if not isinstance(failure, ComponentError):
            raise failure
    if failures:
        raise _joined([failure for failure in failures if isinstance(failure, ComponentError)])


class _MixedFailuresError(ComponentError):
    """Some writes met another ETag, and others failed otherwise; ``status`` is the first ones'."""

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status


def _joined(failures: Sequence[ComponentError]) -> ComponentError:
    """Make one failure of several; where all are about ETags, that is named twice."""
    text = "\n".join(_reason(failure) for failure in failures)
    about_etags = [each for each in failures if isinstance(each, (EtagConflict, EtagInvalid))]
    if not about_etags:
        return ComponentError(text)
    if len(about_etags) < len(failures):
        return _MixedFailuresError(text, _status(about_etags[0]))
    invalid = any(isinstance(each, EtagInvalid) for each in about_etags)
    return EtagInvalid(text) if invalid else EtagConflict(text)


def _write(component: StateStore, key: str, change: StateChange) -> StateWrite:
    options = change.options
    if options.concurrency not in _CONCURRENCY:
        raise ComponentError(f"unrecognized concurrency model '{options.concurrency}'")
    if options.consistency not in _CONSISTENCY:
        raise ComponentError(f"unrecognized consistency model '{options.consistency}'")
    ttl: int | None = None
    if change.metadata and change.data is not None:
        text = change.metadata.get("ttlInSeconds", "")
        ttl = component.parse_ttl(text) if text else None
    return StateWrite(
        key,
        change.data,
        change.etag,
        first_write=options.concurrency == "first-write",
        ttl=ttl,
        last_write=options.concurrency == "last-write",
    )


def _reason(error: ComponentError) -> str:
    text = str(error)
    if isinstance(error, EtagConflict):
        head = "possible etag mismatch. error from state store"
        return f"{head}: {text}" if text else head
    if isinstance(error, EtagInvalid):
        return f"invalid etag value: {text}"
    return text


def _status(error: ComponentError) -> int:
    if isinstance(error, _MixedFailuresError):
        return error.status
    if isinstance(error, EtagConflict):
        return 409
    return 400 if isinstance(error, EtagInvalid) else 500
