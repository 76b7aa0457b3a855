"""Virtual time, and the moment when an engine has nothing left to do."""

import asyncio
import logging
from collections.abc import Coroutine
from datetime import timedelta

from daprflow.sidecar.clock import VirtualClock
from daprflow.sidecar.engine import Work

logger = logging.getLogger(__name__)

QUIET_ROUNDS = 25
"""Turns of the loop without work in flight that count as rest: a broker takes a few of them from
accepting a message, or from a timer, to the delivery."""

PATIENCE = 0.1
"""Seconds of real time after which something that waits is given virtual time."""

ROUNDING = 1e-6
"""Seconds past the end of an advance that still belong to it: workflows' times are rounded to whole
microseconds, and what is due in an hour has to come when an hour passes."""

HINT = 5.0
"""Seconds of real time after which a wait says what may hold it up."""


class Settling:
    """Moves an engine's clock, step by step, each until everything due is done."""

    def __init__(self, clock: VirtualClock, work: Work, hint: float = HINT) -> None:
        self._clock = clock
        self._work = work
        self._hint = hint

    async def settle(self) -> None:
        """Wait until nothing is in flight and nothing follows; handlers take their real time."""
        late = asyncio.get_running_loop().call_later(self._hint, self._say)
        try:
            quiet = 0
            while quiet < QUIET_ROUNDS:
                await self._work.idle()
                await asyncio.sleep(0)
                quiet = 0 if self._work.count else quiet + 1
        finally:
            late.cancel()

    def _say(self) -> None:
        logger.warning(
            "the test still waits for %d deliveries or calls: a handler that sleeps holds it up, "
            "and so does a message of a streaming subscription that has no verdict; a test that "
            "takes messages itself publishes with 'dapr.client.publish'",
            self._work.count,
        )

    async def advance(self, by: timedelta) -> None:
        """Move the clock from one due time to the next, and settle after each."""
        end = self._clock.now() + by.total_seconds()
        await self.settle()
        while await self.step(end):
            pass
        self._clock.move_to(end)

    async def step(self, end: float) -> bool:
        """Move the clock to what is due next and settle; False where nothing is until ``end``."""
        due = self._clock.due()
        if due is None or due > end + ROUNDING:
            return False
        self._clock.move_to(due)
        await self.settle()
        return True

    async def run(self, waiting: Coroutine[None, None, None]) -> None:
        """Run something that may itself wait for the clock, such as a start with retries."""
        task = asyncio.create_task(waiting)
        try:
            while not task.done():
                await asyncio.wait({task}, timeout=PATIENCE)
                if not task.done() and (due := self._clock.due()) is not None:
                    self._clock.move_to(due)
            await task
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait({task})
