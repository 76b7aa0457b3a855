"""A host of actors in memory: it records what it is asked, and holds calls back when told so."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from daprflow.sidecar.actors.host import ActorAnswer, ActorCall, TimerDue


@dataclass(slots=True)
class RecordingHost:
    """Answers every call at once, but for methods that wait.

    Attributes:
        done: what was asked, as text, in the order in which it began.
        running: ids whose calls are under way.
        gates: methods that wait until their event is set.
        failing: raised by every call.
        inside: called in the course of a call of that method.
    """

    done: list[str] = field(default_factory=list)
    running: list[str] = field(default_factory=list)
    gates: dict[str, asyncio.Event] = field(default_factory=dict)
    failing: Exception | None = None
    inside: dict[str, Callable[[ActorCall], asyncio.Future[object]]] = field(default_factory=dict)
    most: int = 0

    async def invoke(self, kind: str, actor_id: str, call: ActorCall) -> ActorAnswer:
        """Call a method."""
        self.done.append(f"{kind}/{actor_id}/{call.method}")
        self.running.append(actor_id)
        self.most = max(self.most, self.running.count(actor_id))
        try:
            if call.method in self.inside:
                await self.inside[call.method](call)
            if call.method in self.gates:
                await self.gates[call.method].wait()
        finally:
            self.running.remove(actor_id)
        if self.failing is not None:
            raise self.failing
        return ActorAnswer(call.data, ())

    async def remind(
        self, kind: str, actor_id: str, name: str, data: msgspec.Raw | msgspec.UnsetType
    ) -> None:
        """Take a tick of a reminder."""
        shown = "" if data is msgspec.UNSET else bytes(data).decode()
        await self.invoke(kind, actor_id, ActorCall(f"remind/{name}{shown}", b""))

    async def fire(self, kind: str, actor_id: str, timer: TimerDue) -> None:
        """Take a tick of a timer."""
        await self.invoke(kind, actor_id, ActorCall(f"timer/{timer.name}", b""))

    async def deactivate(self, kind: str, actor_id: str) -> None:
        """Note the end of an actor."""
        self.done.append(f"{kind}/{actor_id} ends")
