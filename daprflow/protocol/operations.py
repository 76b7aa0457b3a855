"""What an app asks of its sidecar: the bodies of state, publish and binding calls."""

import msgspec


class StateOptions(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a write is done: ``first-write`` or ``last-write``, ``strong`` or ``eventual``."""

    concurrency: str = ""
    consistency: str = ""


class StateItem(msgspec.Struct, frozen=True, omit_defaults=True):
    """One write; ``value`` is JSON as it came, absent means null."""

    key: str = ""
    value: msgspec.Raw = msgspec.Raw(b"null")
    etag: str | None = None
    metadata: dict[str, str] | None = None
    options: StateOptions | None = None


class StateOperation(msgspec.Struct, frozen=True):
    """One step of a transaction: ``upsert`` or ``delete``."""

    operation: str
    request: StateItem


class StateTransaction(msgspec.Struct, frozen=True, omit_defaults=True):
    """The body of a state transaction."""

    operations: tuple[StateOperation, ...] = ()
    metadata: dict[str, str] | None = None


class BulkGet(msgspec.Struct, frozen=True, omit_defaults=True):
    """The body of a bulk get."""

    keys: tuple[str, ...] = ()
    parallelism: int = 0
    metadata: dict[str, str] | None = None


class BulkGetItem(msgspec.Struct, frozen=True, omit_defaults=True):
    """One entry of a bulk get's answer; a missing key has nothing but its key."""

    key: str
    data: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    etag: str | None = None
    metadata: dict[str, str] | None = None
    error: str = ""


class BindingCall(msgspec.Struct, frozen=True, omit_defaults=True):
    """The body of an output binding call."""

    operation: str = ""
    data: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    metadata: dict[str, str] | None = None


class BulkPublishEntry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One entry of a bulk publish."""

    entry_id: str = msgspec.field(name="entryId", default="")
    event: msgspec.Raw = msgspec.Raw(b"null")
    content_type: str = msgspec.field(name="contentType", default="")
    metadata: dict[str, str] | None = None
