"""Counts what is delivered to the actors of one host beside calls: ticks, and their ends."""

from collections.abc import Awaitable

import msgspec

from daprflow.sidecar.actors.host import ActorAnswer, ActorCall, ActorHost, HostAway, TimerDue
from daprflow.sidecar.telemetry.meters import FALSE, TRUE, ActorMeters
from daprflow.sidecar.telemetry.metrics import Cell, Family


class WatchedHost:
    """An app with actors, watched.

    Args:
        inner: the app.
        meters: of its sidecar.
    """

    def __init__(self, inner: ActorHost, meters: ActorMeters) -> None:
        self._inner = inner
        self._meters = meters

    async def invoke(self, kind: str, actor_id: str, call: ActorCall) -> ActorAnswer:
        """Call a method."""
        return await self._inner.invoke(kind, actor_id, call)

    async def remind(
        self, kind: str, actor_id: str, name: str, data: msgspec.Raw | msgspec.UnsetType
    ) -> None:
        """Deliver a tick of a reminder."""
        work = self._inner.remind(kind, actor_id, name, data)
        await _counted(work, self._meters.reminders_fired, kind)

    async def fire(self, kind: str, actor_id: str, timer: TimerDue) -> None:
        """Deliver a tick of a timer."""
        work = self._inner.fire(kind, actor_id, timer)
        await _counted(work, self._meters.timers_fired, kind)

    async def deactivate(self, kind: str, actor_id: str) -> None:
        """Tell that an actor is needed no more."""
        try:
            await self._inner.deactivate(kind, actor_id)
        except HostAway:
            raise
        except Exception:
            self._meters.not_deactivated(kind).add()
            raise
        self._meters.deactivated(kind).add()


async def _counted(work: Awaitable[None], family: Family[Cell], kind: str) -> None:
    try:
        await work
    except Exception:
        family(kind, FALSE).add()
        raise
    family(kind, TRUE).add()
