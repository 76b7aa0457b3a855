"""What an app asks of its sidecar about actors: the requests, and the body of an actor's error."""

from collections.abc import Sequence

import msgspec

from daprflow.protocol.actor_escapes import escaped, escaped_method
from daprflow.protocol.actors import ActorStateOperation, ReminderRequest, TimerRequest
from daprflow.protocol.http import JSON, Headers, HttpRequest
from daprflow.protocol.operations import segment

PREFIX = "/actors/"
"""Below this an app's sidecar calls its actors."""
EXPIRES_HEADER = "metadata.ttlexpiretime"
"""When a part of the state ends that has a time to live, in RFC 3339."""
_JSON: Headers = (("content-type", JSON),)


class ActorFailure(msgspec.Struct, frozen=True):
    """The body of an actor's own error: the exception's class by name, and its text."""

    type: str = ""
    message: str = ""


def call(kind: str, actor_id: str, method: str, body: bytes, headers: Headers = ()) -> HttpRequest:
    """Return the request that calls a method of an actor."""
    return HttpRequest(
        "PUT", f"{_path(kind, actor_id)}/method/{segment(escaped_method(method))}", headers, body
    )


def get_state(kind: str, actor_id: str, key: str) -> HttpRequest:
    """Return the request that reads one key of an actor's state."""
    return HttpRequest("GET", f"{_path(kind, actor_id)}/state/{segment(key)}")


def transact(kind: str, actor_id: str, operations: Sequence[ActorStateOperation]) -> HttpRequest:
    """Return the request that does every operation on an actor's state or none."""
    body = msgspec.json.encode(operations)
    return HttpRequest("PUT", f"{_path(kind, actor_id)}/state", _JSON, body)


def set_reminder(kind: str, actor_id: str, name: str, reminder: ReminderRequest) -> HttpRequest:
    """Return the request that sets a reminder."""
    target = f"{_path(kind, actor_id)}/reminders/{segment(escaped(name))}"
    return HttpRequest("PUT", target, _JSON, msgspec.json.encode(reminder))


def delete_reminder(kind: str, actor_id: str, name: str) -> HttpRequest:
    """Return the request that deletes a reminder; a missing one is no error."""
    return HttpRequest("DELETE", f"{_path(kind, actor_id)}/reminders/{segment(escaped(name))}")


def set_timer(kind: str, actor_id: str, name: str, timer: TimerRequest) -> HttpRequest:
    """Return the request that sets a timer."""
    target = f"{_path(kind, actor_id)}/timers/{segment(escaped(name))}"
    return HttpRequest("PUT", target, _JSON, msgspec.json.encode(timer))


def delete_timer(kind: str, actor_id: str, name: str) -> HttpRequest:
    """Return the request that deletes a timer; a missing one is no error."""
    return HttpRequest("DELETE", f"{_path(kind, actor_id)}/timers/{segment(escaped(name))}")


def _path(kind: str, actor_id: str) -> str:
    return f"/v1.0/actors/{segment(kind)}/{segment(escaped(actor_id))}"
