"""One stream of an app that hosts actors: calls on their way to it, answers on their way back."""

import asyncio
import itertools
import logging
from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec

from daprflow.protocol import messages
from daprflow.protocol.actors import ERROR_HEADER
from daprflow.protocol.grpc_codes import Code
from daprflow.sidecar.actors.headers import canonical
from daprflow.sidecar.actors.host import (
    ActorAnswer,
    ActorCall,
    ActorRaised,
    HostFailed,
    MethodMissing,
    TimerDue,
)

logger = logging.getLogger(__name__)

Message = messages.SubscribeActorEventsResponseAlpha1
Make = Callable[[str], Message]
GONE = "actor host disconnected before responding"


class ActorLine:
    """Hands calls to one client; answers belong to calls by their ids."""

    def __init__(self) -> None:
        self._ids = itertools.count(1)
        self._awaited: dict[str, asyncio.Future[Any]] = {}
        self._unsent: deque[Message] = deque()
        self._news: asyncio.Future[None] | None = None
        self._closed = False

    # ---- the engine's side ----------------------------------------------------------------------

    async def invoke(self, kind: str, actor_id: str, call: ActorCall) -> ActorAnswer:
        """Call a method."""

        def make(number: str) -> Message:
            request = messages.SubscribeActorEventsResponseInvokeRequestAlpha1(
                id=number,
                actor_type=kind,
                actor_id=actor_id,
                method=call.method,
                data=call.data,
                metadata=_metadata(call),
            )
            return Message(invoke_request=request)

        reply = await self._ask(make)
        if reply.WhichOneof("request_type") == "request_failed":
            failed = reply.request_failed
            if failed.code == Code.NOT_FOUND:
                raise MethodMissing(f"actor method not found: {call.method}")
            raise HostFailed(f"error from actor service: {failed.message}")
        if not reply.HasField("invoke_response"):
            raise HostFailed("actor host returned an unexpected response type for invoke")
        answered = reply.invoke_response
        headers = tuple((name.lower(), value) for name, value in answered.metadata.items())
        if answered.error:
            marked = (
                *(pair for pair in headers if pair[0] != ERROR_HEADER),
                (ERROR_HEADER, "true"),
            )
            raise ActorRaised(ActorAnswer(answered.data, marked))
        return ActorAnswer(answered.data, headers)

    async def remind(
        self, kind: str, actor_id: str, name: str, data: msgspec.Raw | msgspec.UnsetType
    ) -> None:
        """Deliver a tick of a reminder; its times are left empty, as the real runtime does."""

        def make(number: str) -> Message:
            request = messages.SubscribeActorEventsResponseReminderRequestAlpha1(
                id=number, actor_type=kind, actor_id=actor_id, name=name, data=any_of(data)
            )
            return Message(reminder_request=request)

        await self._tick(make, "reminder")

    async def fire(self, kind: str, actor_id: str, timer: TimerDue) -> None:
        """Deliver a tick of a timer."""

        def make(number: str) -> Message:
            request = messages.SubscribeActorEventsResponseTimerRequestAlpha1(
                id=number,
                actor_type=kind,
                actor_id=actor_id,
                name=timer.name,
                due_time=timer.due_time,
                period=timer.period,
                callback=timer.callback,
                data=any_of(timer.data),
            )
            return Message(timer_request=request)

        await self._tick(make, "timer")

    async def deactivate(self, kind: str, actor_id: str) -> None:
        """Tell that an actor is needed no more; whatever is answered will do."""

        def make(number: str) -> Message:
            request = messages.SubscribeActorEventsResponseDeactivateRequestAlpha1(
                id=number, actor_type=kind, actor_id=actor_id
            )
            return Message(deactivate_request=request)

        await self._ask(make)

    # ---- the client's side ----------------------------------------------------------------------

    def answer(self, reply: messages.SubscribeActorEventsRequestAlpha1) -> None:
        """Take an answer."""
        kind = reply.WhichOneof("request_type")
        number = "" if kind in {None, "initial_request"} else getattr(reply, kind).id
        waiting = self._awaited.pop(number, None)
        if waiting is None:
            logger.warning("an actor host answered '%s', which was not asked", number[:64])
        elif not waiting.done():
            waiting.set_result(reply)

    async def next(self) -> Message | None:
        """Wait for the next call; None when there will be none."""
        while not self._closed:
            if self._unsent:
                return self._unsent.popleft()
            self._news = asyncio.get_running_loop().create_future()
            await self._news
        return None

    def close(self) -> None:
        """Fail what waits for an answer, and send nothing more."""
        self._closed = True
        awaited, self._awaited = self._awaited, {}
        for waiting in awaited.values():
            if not waiting.done():
                waiting.set_exception(HostFailed(GONE))
        self._tell()

    async def _tick(self, make: Make, kind: str) -> None:
        reply = await self._ask(make)
        if reply.WhichOneof("request_type") == "request_failed":
            raise HostFailed(f"error from actor service: {reply.request_failed.message}")
        if reply.WhichOneof("request_type") != f"{kind}_response":
            raise HostFailed(f"actor host returned an unexpected response type for {kind}")

    async def _ask(self, make: Make) -> messages.SubscribeActorEventsRequestAlpha1:
        if self._closed:
            raise HostFailed(GONE)
        number = str(next(self._ids))
        waiting: asyncio.Future[messages.SubscribeActorEventsRequestAlpha1]
        waiting = asyncio.get_running_loop().create_future()
        self._awaited[number] = waiting
        self._unsent.append(make(number))
        self._tell()
        try:
            return await waiting
        finally:
            self._awaited.pop(number, None)

    def _tell(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)


def any_of(data: msgspec.Raw | msgspec.UnsetType) -> messages.AnyMessage | None:
    """Return JSON as the runtime passes it on: bytes in an ``Any``; None where there is none."""
    if data is msgspec.UNSET:
        return None
    packed = messages.AnyMessage()
    packed.Pack(messages.BytesValue(value=bytes(data)))
    return packed


def _metadata(call: ActorCall) -> dict[str, str]:
    """Return headers as a stream carries them: of a name that comes twice the first value."""
    found: dict[str, str] = {}
    for name, value in call.headers:
        found.setdefault(canonical(name), value)
    return found
