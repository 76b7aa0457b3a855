"""Actors as they cross the wire: calls, state, reminders, timers, and what ticks bring."""

from collections.abc import Sequence

import msgspec

from daprflow.protocol.http import JSON, Headers, HttpRequest
from daprflow.protocol.operations import segment

PREFIX = "/actors/"
"""Below this an app's sidecar calls its actors."""
REENTRANCY_ID = "dapr-reentrancy-id"
"""Names the turn that a call belongs to, where reentrancy is on; calls made in it say it again."""
ERROR_HEADER = "x-daprerrorresponseheader"
"""Marks an answer with status 200 as the actor's own error; it reaches the caller unchanged."""
CANCEL_HEADER = "x-daprremindercancel"
"""Asks for the end of a reminder. The runtime takes it for the success of that tick alone."""
EXPIRES_HEADER = "metadata.ttlexpiretime"
_JSON: Headers = (("content-type", JSON),)


class StateWrite(msgspec.Struct, frozen=True, omit_defaults=True):
    """One key of a state transaction; without a value where it is deleted."""

    key: str = ""
    value: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    etag: str | None = None
    metadata: dict[str, str] | None = None


class StateOperation(msgspec.Struct, frozen=True):
    """One step of a state transaction: ``upsert`` or ``delete``."""

    operation: str = ""
    request: StateWrite = StateWrite()


class _Schedule(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    due_time: str = ""
    period: str = ""
    ttl: str = ""
    data: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class ReminderRequest(_Schedule, frozen=True, omit_defaults=True, rename="camel"):
    """The body of a call that sets a reminder; ``data`` is any JSON, unset for none.

    Without ``overwrite`` said false, one of that name is replaced.
    """

    overwrite: bool | None = None


class TimerRequest(_Schedule, frozen=True, omit_defaults=True, rename="camel"):
    """The body of a call that sets a timer; ``callback`` comes back with each tick."""

    callback: str = ""


class Tick(msgspec.Struct, frozen=True, rename="camel"):
    """What a reminder or a timer brings; ``callback`` stands in that of a timer alone."""

    data: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    callback: str = ""
    due_time: str = ""
    period: str = ""


class ActorFailure(msgspec.Struct, frozen=True):
    """The body of an actor's own error: the exception's class by name, and its text."""

    type: str = ""
    message: str = ""


def call(kind: str, actor_id: str, method: str, body: bytes, headers: Headers = ()) -> HttpRequest:
    """Return the request that calls a method of an actor."""
    return HttpRequest("PUT", f"{_path(kind, actor_id)}/method/{segment(method)}", headers, body)


def get_state(kind: str, actor_id: str, key: str) -> HttpRequest:
    """Return the request that reads one key of an actor's state."""
    return HttpRequest("GET", f"{_path(kind, actor_id)}/state/{segment(key)}")


def transact(kind: str, actor_id: str, operations: Sequence[StateOperation]) -> HttpRequest:
    """Return the request that does every operation on an actor's state or none."""
    body = msgspec.json.encode(operations)
    return HttpRequest("PUT", f"{_path(kind, actor_id)}/state", _JSON, body)


def set_reminder(kind: str, actor_id: str, name: str, reminder: ReminderRequest) -> HttpRequest:
    """Return the request that sets a reminder."""
    target = f"{_path(kind, actor_id)}/reminders/{segment(name)}"
    return HttpRequest("PUT", target, _JSON, msgspec.json.encode(reminder))


def delete_reminder(kind: str, actor_id: str, name: str) -> HttpRequest:
    """Return the request that deletes a reminder; a missing one is no error."""
    return HttpRequest("DELETE", f"{_path(kind, actor_id)}/reminders/{segment(name)}")


def set_timer(kind: str, actor_id: str, name: str, timer: TimerRequest) -> HttpRequest:
    """Return the request that sets a timer."""
    target = f"{_path(kind, actor_id)}/timers/{segment(name)}"
    return HttpRequest("PUT", target, _JSON, msgspec.json.encode(timer))


def delete_timer(kind: str, actor_id: str, name: str) -> HttpRequest:
    """Return the request that deletes a timer; a missing one is no error."""
    return HttpRequest("DELETE", f"{_path(kind, actor_id)}/timers/{segment(name)}")


def _path(kind: str, actor_id: str) -> str:
    return f"/v1.0/actors/{segment(kind)}/{segment(actor_id)}"
