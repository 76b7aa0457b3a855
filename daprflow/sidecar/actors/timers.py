"""Timers of actors: kept in memory by the sidecar that registered them."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from daprflow.protocol.actors import TimerRequest
from daprflow.protocol.periods import Period, parse_period, parse_time
from daprflow.protocol.schedules import ScheduleError
from daprflow.sidecar.actors.host import TimerDue
from daprflow.sidecar.clock import Clock, Timer

if TYPE_CHECKING:
    from daprflow.sidecar.engine import Work
    from daprflow.sidecar.telemetry.metrics import Cell, Family

logger = logging.getLogger(__name__)

Fire = Callable[[str, str, TimerDue], Awaitable[None]]
"""Delivers a tick to the actor of a type and an id."""


class TimerRefused(ValueError):  # noqa: N818 - named for what happened
    """A timer has no plan; the text is the real runtime's."""


@dataclass(slots=True, eq=False)
class _Timer:
    """A timer that has ticks left.

    Attributes:
        tick: when the next one is due.
        left: how many there are; None is no limit.
    """

    kind: str
    actor_id: str
    due: TimerDue
    period: Period
    tick: float
    left: int | None
    expires: float | None
    waiting: Timer | None = None


@dataclass(slots=True)
class _Ticks:
    """The ticks of one actor that are due, which come one after the other."""

    due: deque[_Timer]
    task: asyncio.Task[None] | None = None


class Timers:
    """The timers that one sidecar keeps.

    Ticks of one actor come in order; the next tick of a timer is planned when the last has come
    back, and counts from when that was due.

    Args:
        clock: the engine's.
        work: the engine's.
        fire: delivers a tick; what it raises is logged, and the timer goes on.
    """

    def __init__(self, clock: Clock, work: "Work", fire: Fire) -> None:
        self._clock = clock
        self._work = work
        self._fire = fire
        self._timers: dict[tuple[str, str, str], _Timer] = {}
        self._ticks: dict[tuple[str, str], _Ticks] = {}
        self.meter: Family[Cell] | None = None

    def register(self, kind: str, actor_id: str, name: str, request: TimerRequest) -> None:
        """Keep a timer, in place of one of the same name.

        Raises:
            TimerRefused: it has no plan.
        """
        timer = self._planned(kind, actor_id, name, request)
        self.remove(kind, actor_id, name)
        self._timers[kind, actor_id, name] = timer
        self._count(kind)
        self._plan(timer)

    def remove(self, kind: str, actor_id: str, name: str) -> None:
        """Forget a timer; a missing one is no error."""
        timer = self._timers.pop((kind, actor_id, name), None)
        if timer is not None and timer.waiting is not None:
            timer.waiting.cancel()
        if timer is not None:
            self._count(kind)

    def _count(self, kind: str) -> None:
        """Show how many timers the actors of a type have."""
        if self.meter is not None:
            self.meter(kind).value = float(sum(key[0] == kind for key in self._timers))

    async def close(self) -> None:
        """Forget every timer and cut the ticks that are under way."""
        for key in tuple(self._timers):
            self.remove(*key)
        running = [ticks.task for ticks in self._ticks.values() if ticks.task is not None]
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)

    def _planned(self, kind: str, actor_id: str, name: str, request: TimerRequest) -> _Timer:
        now = self._clock.now()
        try:
            tick = parse_time(request.due_time, now) if request.due_time else now
        except ScheduleError as error:
            raise TimerRefused(f"error parsing timer due time: {error}") from None
        period = _period(request.period)
        try:
            expires = parse_time(request.ttl, tick) if request.ttl else None
        except ScheduleError as error:
            raise TimerRefused(f"error parsing timer TTL: {error}") from None
        if expires is not None and (now > expires or tick > expires):
            key = f"{kind}||{actor_id}||{name}"
            raise TimerRefused(
                f"timer {key} has already expired: dueTime: {request.due_time} TTL: {request.ttl}"
            )
        due = TimerDue(name, request.callback, request.due_time, request.period, request.data)
        return _Timer(kind, actor_id, due, period, tick, period.repeats, expires)

    def _plan(self, timer: _Timer) -> None:
        if timer.expires is not None and timer.tick >= timer.expires:
            self._forget(timer)
            return
        timer.waiting = self._clock.call_at(timer.tick, lambda: self._come_due(timer))

    def _forget(self, timer: _Timer) -> None:
        key = (timer.kind, timer.actor_id, timer.due.name)
        if self._timers.get(key) is timer:
            del self._timers[key]
            self._count(timer.kind)

    def _come_due(self, timer: _Timer) -> None:
        timer.waiting = None
        self._work.begin()
        actor = (timer.kind, timer.actor_id)
        ticks = self._ticks.setdefault(actor, _Ticks(deque()))
        ticks.due.append(timer)
        if ticks.task is None:
            ticks.task = asyncio.get_running_loop().create_task(self._run(actor, ticks))

    async def _run(self, actor: tuple[str, str], ticks: _Ticks) -> None:
        try:
            while ticks.due:
                timer = ticks.due.popleft()
                try:
                    await self._tick(timer)
                finally:
                    self._work.end()
        finally:
            del self._ticks[actor]
            for _ in ticks.due:
                self._work.end()

    async def _tick(self, timer: _Timer) -> None:
        key = (timer.kind, timer.actor_id, timer.due.name)
        if self._timers.get(key) is not timer:
            return  # deleted or replaced while it waited
        try:
            await self._fire(timer.kind, timer.actor_id, timer.due)
        except Exception as error:  # noqa: BLE001 - whatever it is, the timer goes on
            logger.warning(
                "timer '%s' of actor '%s/%s': %s",
                timer.due.name,
                timer.kind,
                timer.actor_id,
                str(error) or type(error).__name__,
            )
        if self._timers.get(key) is timer:
            self._go_on(timer)

    def _go_on(self, timer: _Timer) -> None:
        if timer.left is not None:
            timer.left -= 1
        if timer.period.empty or timer.left == 0:
            self._forget(timer)
            return
        try:
            timer.tick = timer.period.after(timer.tick)
        except OverflowError:
            self._forget(timer)
            return
        self._plan(timer)


def _period(text: str) -> Period:
    if not text:
        return Period()
    try:
        period = parse_period(text)
    except ScheduleError as error:
        raise TimerRefused(f"invalid timer period: parse error: {error}") from None
    if period.repeats == 0:
        raise TimerRefused("invalid timer period: has zero repetitions")
    return period
