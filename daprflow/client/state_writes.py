"""Writes to a state store as values, for calls that do several at once."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Literal, TypeAlias

import msgspec

from daprflow.client.state_values import checked, encode, metadata_with
from daprflow.handlers.codecs import NO_CODECS, Codecs
from daprflow.protocol.state import StateItem, StateOperation, StateOptions, StateTransaction

Concurrency: TypeAlias = Literal["first-write", "last-write"]
Consistency: TypeAlias = Literal["strong", "eventual"]

JSON_CONTENT = {"contentType": "application/json"}
_NULL = msgspec.Raw(b"null")


class _Value(msgspec.Struct, frozen=True):
    key: str
    value: object


class _Key(msgspec.Struct, frozen=True):
    key: str


class Upsert(_Value, frozen=True, kw_only=True):
    """One value to store: ``Upsert(key, value)``.

    Attributes:
        etag: write only if the stored value still has this one.
        ttl: how long the store keeps it; None is for ever.
        concurrency: "first-write" refuses to overwrite what was written meanwhile; the default
            with an ETag.
        consistency: "strong" waits for every replica, in stores that have some.
        metadata: of the component, such as ``partitionKey`` or ``contentType``.
        projection: in a transaction on a store with an outbox, what is published instead of the
            value; it goes as JSON.

    Example:
        ```python
        await client.state("statestore").transaction(
            Upsert("cart:ann", Cart(), ttl=timedelta(hours=1)),
            Upsert("order:7", Order("7")),
        )
        ```
    """

    etag: str | None = None
    ttl: timedelta | None = None
    concurrency: Concurrency | None = None
    consistency: Consistency | None = None
    metadata: Mapping[str, str] = {}
    projection: object = msgspec.UNSET

    @property
    def guarded(self) -> bool:
        """Whether it may be refused because of what is stored."""
        return bool(self.etag) or self.concurrency == "first-write"


class Delete(_Key, frozen=True, kw_only=True):
    """One key to delete: ``Delete(key)``; a missing one is no error.

    Attributes:
        etag: delete only if the stored value still has this one.
        concurrency: as for `Upsert`, without a default.
        consistency: "strong" waits for every replica, in stores that have some.
        metadata: of the component, such as ``partitionKey``.

    Example:
        ```python
        await client.state("statestore").transaction(Delete("cart:ann", etag="3"))
        ```
    """

    etag: str | None = None
    concurrency: Concurrency | None = None
    consistency: Consistency | None = None
    metadata: Mapping[str, str] = {}


Write: TypeAlias = Upsert | Delete


def item_of(write: Write, codecs: Codecs = NO_CODECS, *, raw: bool = False) -> StateItem:
    """Return a write as it goes over the wire; ``raw`` leaves bytes as they are, for gRPC.

    Raises:
        ValueError: the key is empty, the ttl is not above 0, or the value cannot be kept.
        TypeError: the value has no JSON form.
    """
    etag, concurrency = write.etag or None, write.concurrency
    if etag and concurrency is None and isinstance(write, Upsert):
        concurrency = "first-write"
    options = StateOptions(concurrency or "", write.consistency or "")
    chosen = options if concurrency or write.consistency else None
    key = checked(write.key)
    if isinstance(write, Delete):
        return StateItem(key, _NULL, etag, metadata_with(write.metadata, None), chosen)
    if raw and isinstance(write.value, bytes | bytearray | memoryview):
        value = bytes(write.value)
    else:
        value = encode(write.value, f"the value of key '{write.key}'", codecs)
    return StateItem(
        key, msgspec.Raw(value), etag, metadata_with(write.metadata, write.ttl), chosen
    )


def transaction_of(
    writes: tuple[Write, ...],
    metadata: Mapping[str, str],
    codecs: Codecs = NO_CODECS,
    *,
    raw: bool = False,
) -> StateTransaction:
    """Return writes as one transaction; ``raw`` leaves bytes as they are, for gRPC.

    Raises:
        ValueError: one of them cannot be written.
    """
    operations: list[StateOperation] = []
    for write in writes:
        if isinstance(write, Delete):
            operations.append(StateOperation("delete", item_of(write, codecs)))
            continue
        item = item_of(write, codecs, raw=raw)
        if write.projection is not msgspec.UNSET:
            # Before the value it stands for: the runtime's loop over the operations leaves one out
            # after each projection, and with two in a row it would fail.
            operations.append(StateOperation("upsert", _projection(write, codecs)))
        operations.append(StateOperation("upsert", item))
    return StateTransaction(tuple(operations), dict(metadata) or None)


def _projection(write: Upsert, codecs: Codecs) -> StateItem:
    value = encode(write.projection, f"the projection of key '{write.key}'", codecs)
    metadata = {**JSON_CONTENT, "outbox.projection": "true"}
    return StateItem(write.key, msgspec.Raw(value), metadata=metadata)
