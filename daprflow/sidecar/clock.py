"""Time, as the engine knows it: the wall clock, or one that a test moves."""

import asyncio
import heapq
import itertools
import time
from collections.abc import Callable
from typing import Protocol

LOOK_AGAIN = 30.0
"""Seconds after which a timer that still waits looks at the clock again."""


class Timer(Protocol):
    """A call that is due later."""

    def cancel(self) -> None:
        """Forget the call; harmless when it ran already."""
        ...


class Clock(Protocol):
    """The engine's only source of time."""

    def now(self) -> float:
        """Return seconds since the epoch, UTC."""
        ...

    def call_at(self, when: float, callback: Callable[[], None], /) -> Timer:
        """Call ``callback`` on the loop once ``now()`` has reached ``when``; never early."""
        ...


async def sleep_until(clock: Clock, when: float) -> None:
    """Suspend until ``clock`` has reached ``when``."""
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def wake() -> None:
        if not done.done():
            done.set_result(None)

    timer = clock.call_at(when, wake)
    try:
        await done
    finally:
        timer.cancel()


class WallTimer:
    """A call at a time of the wall clock, which is looked at again from time to time.

    The loop's own time stands still while a machine sleeps, and knows nothing of a clock that is
    set.
    """

    __slots__ = ("_callback", "_handle", "_when")

    def __init__(self, when: float, callback: Callable[[], None]) -> None:
        self._when = when
        self._callback = callback
        self._arm()

    def cancel(self) -> None:
        """Forget the call."""
        self._handle.cancel()

    def _arm(self) -> None:
        delay = min(max(0.0, self._when - time.time()), LOOK_AGAIN)
        self._handle = asyncio.get_running_loop().call_later(delay, self._ring)

    def _ring(self) -> None:
        if time.time() < self._when:
            self._arm()
        else:
            self._callback()


class SystemClock:
    """The wall clock; a jump of it, or a sleep of the machine, is noticed after `LOOK_AGAIN`."""

    def now(self) -> float:
        """Return seconds since the epoch."""
        return time.time()

    def call_at(self, when: float, callback: Callable[[], None], /) -> Timer:
        """Call ``callback`` when the wall clock has reached ``when``, and not before."""
        return WallTimer(when, callback)


class VirtualTimer:
    """A call that waits for a virtual clock."""

    __slots__ = ("callback", "cancelled")

    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback = callback
        self.cancelled = False

    def cancel(self) -> None:
        """Forget the call."""
        self.cancelled = True


class VirtualClock:
    """A clock that stands still until ``advance`` moves it."""

    def __init__(self, start: float | None = None) -> None:
        self._now = time.time() if start is None else start
        self._order = itertools.count()
        self._timers: list[tuple[float, int, VirtualTimer]] = []

    def now(self) -> float:
        """Return the virtual time in seconds since the epoch."""
        return self._now

    def call_at(self, when: float, callback: Callable[[], None], /) -> Timer:
        """Call ``callback`` when the clock is moved to ``when`` or past it."""
        timer = VirtualTimer(callback)
        heapq.heappush(self._timers, (when, next(self._order), timer))
        return timer

    def due(self) -> float | None:
        """Return when the next timer is due, or None."""
        while self._timers and self._timers[0][2].cancelled:
            heapq.heappop(self._timers)
        return self._timers[0][0] if self._timers else None

    def move_to(self, when: float) -> None:
        """Move to ``when`` (never back), calling what became due on the way, in order."""
        while (due := self.due()) is not None and due <= when:
            _, _, timer = heapq.heappop(self._timers)
            self._now = max(self._now, due)
            timer.callback()
        self._now = max(self._now, when)
