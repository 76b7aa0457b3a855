"""``bindings.cron``: an input binding that ticks."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from daprflow.protocol.schedules import Cron, Every, ScheduleError, parse_schedule
from daprflow.sidecar.clock import Timer
from daprflow.sidecar.components.base import (
    BindingMessage,
    ComponentContext,
    ComponentError,
    Nack,
)
from daprflow.sidecar.schedule import next_due

logger = logging.getLogger(__name__)

_LATE = 1.0


class CronBinding:
    """Ticks on a schedule; the first tick comes after one period, and ticks may overlap."""

    capabilities = ("INPUT_BINDING",)

    def __init__(self, context: ComponentContext) -> None:
        self._name = context.name
        self._text = context.metadata.get("schedule", "")
        self._clock = context.clock
        self._schedule: Every | Cron | None = None
        self._receive: Callable[[BindingMessage], Awaitable[None]] | None = None
        self._timer: Timer | None = None
        self._running: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Read the schedule."""
        try:
            self._schedule = parse_schedule(self._text)
            next_due(self._schedule, self._clock.now())
        except ScheduleError as error:
            raise ComponentError(f"invalid schedule '{self._text}': {error}") from error

    async def close(self) -> None:
        """Stop ticking."""
        await self.stop()

    async def start(self, receive: Callable[[BindingMessage], Awaitable[None]], /) -> None:
        """Begin to tick; the schedule counts from now."""
        self._receive = receive
        self._arm(self._clock.now())

    async def stop(self) -> None:
        """Stop ticking and wait for the ticks in flight."""
        self._receive = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._running:
            await asyncio.wait(self._running)

    def _arm(self, since: float) -> None:
        if self._schedule is None:
            raise ComponentError(f"binding '{self._name}' is not open")
        due = next_due(self._schedule, since)
        self._timer = self._clock.call_at(due, lambda: self._tick(due))

    def _tick(self, due: float) -> None:
        receive, now = self._receive, self._clock.now()
        if receive is None:
            return
        if now < due:  # the wall clock was set back since
            self._timer = self._clock.call_at(due, lambda: self._tick(due))
            return
        self._arm(due if now - due < _LATE else now)
        metadata = {"timeZone": "Local", "readTimeUTC": go_time(now)}
        task = asyncio.get_running_loop().create_task(
            self._hand_over(receive(BindingMessage(b"", metadata)))
        )
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _hand_over(self, tick: Awaitable[None]) -> None:
        try:
            await tick
        except Nack:
            logger.debug("a tick of binding '%s' was not taken by the app", self._name)
        except Exception:
            logger.exception("a tick of binding '%s' failed", self._name)


def go_time(moment: float) -> str:
    """Return a time as Go prints one in UTC."""
    time = datetime.fromtimestamp(moment, UTC)
    fraction = f".{time.microsecond:06d}".rstrip("0") if time.microsecond else ""
    return f"{time:%Y-%m-%d %H:%M:%S}{fraction} +0000 UTC"
