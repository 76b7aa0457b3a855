"""Ends what takes too long: one timer for all requests, as they all have the same time."""

import asyncio
from typing import Any

Running = asyncio.Task[Any]


class TimeLimit:
    """Cancels the requests of one event loop that take longer than ``seconds``.

    Who comes first ends first, so the first one that is under way is due next.
    """

    __slots__ = ("_expired", "_loop", "_timer", "_under_way", "seconds")

    def __init__(self, seconds: float) -> None:
        self.seconds: float = seconds
        self._under_way: dict[Running, tuple[float, int]] = {}
        self._expired: dict[Running, int] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> Running | None:
        """Note that the running task begins a request; `end` is called with what is returned.

        A request inside another one of the same task has the time of that one.
        """
        loop = self._loop
        task = None if loop is None else asyncio.current_task(loop)
        if task is None or loop is None:
            loop = self._enter()
            task = asyncio.current_task(loop)
        if task is None or task in self._under_way:
            return None
        when = loop.time() + self.seconds
        self._under_way[task] = when, task.cancelling()
        if self._timer is None:
            self._timer = loop.call_at(when, self._look, loop)
        return task

    def _enter(self) -> asyncio.AbstractEventLoop:
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._loop, self._timer = loop, None
            self._under_way.clear()
            self._expired.clear()
        return loop

    def end(self, task: Running | None) -> bool:
        """Note that a request is over.

        Returns:
            Whether its time was up, and nobody else cancelled it.
        """
        if task is None:
            return False
        if self._under_way.pop(task, None) is not None:
            return False
        before = self._expired.pop(task, None)
        return before is not None and task.uncancel() <= before

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        """End what is due; look again when the next one is."""
        under_way, now = self._under_way, loop.time()
        while under_way:
            task = next(iter(under_way))
            when, before = under_way[task]
            if when > now:
                self._timer = loop.call_at(when, self._look, loop)
                return
            del under_way[task]
            self._expired[task] = before
            task.cancel()
        self._timer = None
