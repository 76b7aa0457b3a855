"""A limit on the time of one attempt, by the engine's clock."""

import asyncio
from types import TracebackType
from typing import Self

from daprflow.sidecar.clock import Clock, Timer


class TimedOut(Exception):  # noqa: N818 - named for what happened
    """An attempt took too long; the text is the real runtime's."""


class Deadline:
    """``async with`` this around an attempt: it is cancelled when its time is over.

    Args:
        clock: the engine's.
        seconds: how long it may take.
    """

    __slots__ = ("_cancelling", "_clock", "_over", "_seconds", "_task", "_timer")

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds
        self._over = False
        self._task: asyncio.Task[object] | None = None
        self._timer: Timer | None = None
        self._cancelling = 0

    async def __aenter__(self) -> Self:
        """Begin to count."""
        self._task = asyncio.current_task()
        assert self._task is not None  # noqa: S101 - a coroutine runs in a task
        self._cancelling = self._task.cancelling()
        self._timer = self._clock.call_at(self._clock.now() + self._seconds, self._end)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Turn a cancellation that the deadline brought about into `TimedOut`."""
        if self._timer is not None:
            self._timer.cancel()
        if not self._over or self._task is None:
            return
        foreign = self._task.uncancel() > self._cancelling
        if kind is not None and issubclass(kind, asyncio.CancelledError) and not foreign:
            raise TimedOut("context deadline exceeded") from error

    def _end(self) -> None:
        self._over = True
        if self._task is not None:
            self._task.cancel()
