"""Actors of an app that holds streams open: the newest one gets every call."""

import msgspec

from daprflow.sidecar.actors.host import ActorAnswer, ActorCall, ActorHost, HostAway, TimerDue


class StreamHost:
    """Hands calls to the stream that was opened last; older ones finish what they have."""

    def __init__(self) -> None:
        self._lines: list[ActorHost] = []

    @property
    def connected(self) -> bool:
        """Whether there is a stream."""
        return bool(self._lines)

    def connect(self, line: ActorHost) -> None:
        """Hand calls to ``line`` from now on."""
        self._lines.append(line)

    def disconnect(self, line: ActorHost) -> None:
        """Hand calls to it no more."""
        self._lines.remove(line)

    async def invoke(self, kind: str, actor_id: str, call: ActorCall) -> ActorAnswer:
        """Call a method."""
        return await self._newest().invoke(kind, actor_id, call)

    async def remind(
        self, kind: str, actor_id: str, name: str, data: msgspec.Raw | msgspec.UnsetType
    ) -> None:
        """Deliver a tick of a reminder."""
        await self._newest().remind(kind, actor_id, name, data)

    async def fire(self, kind: str, actor_id: str, timer: TimerDue) -> None:
        """Deliver a tick of a timer."""
        await self._newest().fire(kind, actor_id, timer)

    async def deactivate(self, kind: str, actor_id: str) -> None:
        """Tell that an actor is needed no more."""
        await self._newest().deactivate(kind, actor_id)

    def _newest(self) -> ActorHost:
        if not self._lines:
            raise HostAway("actor host is not connected")
        return self._lines[-1]
