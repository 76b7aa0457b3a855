"""Actors as they cross the wire: what is asked of the runtime, and what it sends to the app."""

import msgspec

from daprflow.protocol.jobs import FailurePolicy

REENTRANCY_ID = "dapr-reentrancy-id"
"""Names the turn that a call belongs to; calls made in it say it again."""

ERROR_HEADER = "x-daprerrorresponseheader"
"""Marks an answer with status 200 as the actor's own error; it reaches the caller unchanged."""

CANCEL_HEADER = "x-daprremindercancel"
"""Asks for the end of a reminder; the runtime takes it for the success of that tick alone."""

RESERVED = "dapr.internal."
"""How the types begin that belong to the runtime."""


class ActorStateItem(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What a step of a transaction is about; ``value`` is JSON as it came, absent means null."""

    key: str = ""
    value: msgspec.Raw = msgspec.Raw(b"null")
    etag: str | None = None
    metadata: dict[str, str] | None = None


class ActorStateOperation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One step of a transaction on an actor's state: ``upsert`` or ``delete``."""

    operation: str = ""
    request: ActorStateItem | None = None


class TimerRequest(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """The body of a call that registers a timer; ``data`` is any JSON, unset for none.

    Attributes:
        due_time: a Go or ISO 8601 duration, or RFC 3339; empty means now.
        period: as a duration, ``Rn/`` before it limits the ticks; empty means one tick.
        ttl: as ``due_time``, counted from there.
        callback: goes to the app with each tick.
    """

    due_time: str = ""
    period: str = ""
    ttl: str = ""
    callback: str = ""
    data: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class ReminderRequest(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """The body of a call that registers a reminder; ``data`` is any JSON, unset for none.

    The runtime knows no years, months, weeks and days in the ``period`` of a reminder.
    """

    due_time: str = ""
    period: str = ""
    ttl: str = ""
    data: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    overwrite: bool | None = None
    failure_policy: FailurePolicy | None = None


class ReminderDescription(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """What the runtime tells of a reminder; ``period`` is a schedule such as ``@every 1s``."""

    actor_id: str = msgspec.field(name="actorID", default="")
    actor_type: str = msgspec.field(name="actorType", default="")
    data: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    due_time: str = ""
    period: str = ""
    ttl: str = ""


class ReminderTick(msgspec.Struct, frozen=True, rename="camel"):
    """The body of ``PUT /actors/{type}/{id}/method/remind/{name}``.

    The runtime leaves ``due_time`` and ``period`` empty.
    """

    data: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    due_time: str = ""
    period: str = ""


class TimerTick(msgspec.Struct, frozen=True, rename="camel"):
    """The body of ``PUT /actors/{type}/{id}/method/timer/{name}``: as it was registered."""

    data: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    callback: str = ""
    due_time: str = ""
    period: str = ""
