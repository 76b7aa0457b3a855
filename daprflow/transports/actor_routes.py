"""What a sidecar asks of actors over ASGI: paths taken apart by hand, and callers that go away."""

import asyncio
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol
from urllib.parse import unquote

from starlette.types import Receive, Scope, Send

from daprflow.actors.answering import REMIND, TIMER
from daprflow.actors.plan import ActorCall
from daprflow.handlers.handler import Next, Outcome
from daprflow.handlers.trace import DELIVERED
from daprflow.handlers.verdicts import DONE, put_off
from daprflow.protocol.actor_calls import PREFIX
from daprflow.transports.asgi import (
    CUT_OFF,
    Disconnected,
    Gate,
    TooLarge,
    body_of,
    refuse,
    send_outcome,
)
from daprflow.transports.invoke_routes import Endpoint

WATCHED_AFTER = 0.05
"""Seconds after which a call counts as long: from then on it ends when its caller goes away."""
_RELAYS = frozenset({b"dapr-callee-app-id"})
_METHOD = "method"


class Host(Protocol):
    """Where the actors of a type live."""

    def knows(self, method: str, /) -> bool:
        """Tell whether the type has a method of that name."""
        ...

    async def deactivate(self, actor_id: str, /) -> None:
        """Let an actor go."""
        ...


class Asked(NamedTuple):
    """What a path names.

    Attributes:
        method: the method, or the reminder or timer; empty where the actor itself is meant.
        tick: "remind" or "timer"; empty otherwise.
    """

    kind: str
    actor_id: str
    method: str = ""
    tick: str = ""


def actor_endpoint(
    types: Mapping[str, Next], hosts: Mapping[str, Host], gate: Gate, unknown: Endpoint
) -> Endpoint:
    """Return the endpoint of everything below ``/actors/``.

    Args:
        types: what answers the calls of each type.
        hosts: where the actors of each type live.
        gate: what a request must satisfy.
        unknown: answers a path that names nothing here.
    """

    async def endpoint(scope: Scope, receive: Receive, send: Send) -> None:
        asked = parse(_path(scope), hosts)
        if (
            asked is None
            or asked.kind not in types
            or (scope["method"] == "PUT") != bool(asked.method)
        ):
            await unknown(scope, receive, send)
            return
        is_called = bool(asked.method) and not asked.tick
        refused = (
            gate.refusal(scope, from_sidecar=True, relays=_RELAYS)
            if is_called
            else gate.refusal(scope, from_sidecar=True)
        )
        if refused is not None:
            await refuse(scope, send, gate, *refused)
            return
        try:
            body = await body_of(receive, gate.max_body)
        except TooLarge:
            await refuse(scope, send, gate, *gate.too_large)
            return
        except Disconnected:
            return
        if not asked.method:
            await hosts[asked.kind].deactivate(asked.actor_id)
            await send_outcome(send, DONE)
            return
        caller = Caller(receive)
        call = _actor_call(asked, body, scope, caller)
        try:
            outcome = await _outcome(types[asked.kind], call, caller)
        except asyncio.CancelledError as error:
            if not gate.ends(error):
                raise
            outcome = put_off("actor", CUT_OFF)
        if outcome is not None:
            await send_outcome(send, outcome)

    return endpoint


async def _outcome(answer: Next, call: ActorCall, caller: "Caller") -> Outcome | None:
    """Return what is answered to a call; None where nobody waits for it any more."""
    token = DELIVERED.set(call.raw_headers)
    caller.begin()
    try:
        return await answer(call)
    except asyncio.CancelledError:
        if not caller.was_it():
            raise
        return None
    finally:
        caller.end()
        DELIVERED.reset(token)


def _actor_call(asked: Asked, body: bytes, scope: Scope, caller: "Caller") -> ActorCall:
    name, headers = f"{asked.kind}/{asked.method}", scope["headers"]
    rest = (asked.actor_id, asked.method, asked.tick, caller)
    return ActorCall("actor", name, body, headers, scope, *rest)


class Caller:
    """Who waits for an answer. When they go away, a call that takes long is cancelled.

    A task that waits for them costs as much as a short call, so it begins only after a while; at
    the end of a turn they are asked for once.
    """

    __slots__ = ("_is_lost", "_receive", "_task", "_timer", "_watch")

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._is_lost = False
        self._task: asyncio.Task[Any] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._watch: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Watch them while the running task works."""
        self._task = asyncio.current_task()
        self._timer = asyncio.get_running_loop().call_later(WATCHED_AFTER, self._begin_to_watch)

    def end(self) -> None:
        """Watch them no more."""
        if self._timer is not None:
            self._timer.cancel()
        if self._watch is not None:
            self._watch.cancel()
        self._timer = self._watch = self._task = None

    def gone(self) -> bool:
        """Tell whether they are gone; after this the call is not cancelled any more.

        The server's ``receive`` waits until they are, so it is begun and not waited for.
        """
        self.end()
        if self._is_lost:
            return True
        waiting: Any = self._receive()
        if not hasattr(waiting, "send"):  # a server that gives no coroutine cannot be asked
            return False
        try:
            waiting.send(None)
        except StopIteration as done:
            self._is_lost = done.value["type"] == "http.disconnect"
        finally:
            waiting.close()
        return self._is_lost

    def was_it(self) -> bool:
        """Tell whether the running task was cancelled because they went away; it goes on then."""
        task = asyncio.current_task()
        if not self._is_lost or task is None:
            return False
        return task.uncancel() == 0

    def _begin_to_watch(self) -> None:
        self._watch = asyncio.get_running_loop().create_task(self._wait(), name="actor's caller")

    async def _wait(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._is_lost = True
        if self._task is not None:
            self._task.cancel()


def parse(path: str, hosts: Mapping[str, Host]) -> Asked | None:
    """Take a path below ``/actors/`` apart, as it came.

    A runtime that does not encode the slashes of a name leaves open where it ends; then the first
    reading counts that names something.
    """
    parts = path.removeprefix(PREFIX).split("/")
    if "%" in path:
        parts = [unquote(part) for part in parts]
    kind, rest = parts[0], parts[1:]
    if not rest or not rest[0]:
        return None
    found = None
    for at, part in enumerate(rest):
        if part != _METHOD or not 0 < at < len(rest) - 1:
            continue
        asked = _called(kind, "/".join(rest[:at]), rest[at + 1 :])
        if asked.tick or (kind in hosts and hosts[kind].knows(asked.method)):
            return asked
        found = found or asked
    return found or Asked(kind, "/".join(rest))


def _called(kind: str, actor_id: str, rest: list[str]) -> Asked:
    if len(rest) > 1 and rest[0] in (REMIND, TIMER):
        return Asked(kind, actor_id, "/".join(rest[1:]), rest[0])
    return Asked(kind, actor_id, "/".join(rest))


def _path(scope: Scope) -> str:
    """Return the path as it came, so that an encoded slash is told from another."""
    raw: bytes = scope.get("raw_path") or b""
    if raw and not scope.get("root_path"):
        return raw.partition(b"?")[0].decode("latin-1")
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))
