"""Ends what takes too long: one timer for all requests, as they all have the same time."""

import asyncio
from collections import deque


class Timed:
    """One request under way."""

    __slots__ = ("cancelling", "expired", "task", "when")

    def __init__(self, task: "asyncio.Task[object] | None", when: float) -> None:
        self.task = task
        self.when = when
        self.expired = False
        self.cancelling = task.cancelling() if task is not None else 0

    def was_it(self) -> bool:
        """Tell, in the cancelled request, whether its time was up and nobody else cancelled it."""
        if not self.expired:
            return False
        task = asyncio.current_task()
        return task is not None and task.uncancel() <= self.cancelling


class TimeLimit:
    """Cancels the requests of one event loop that take longer than ``seconds``.

    Who comes first ends first, so a queue does; requests that are over leave it from the front.
    """

    __slots__ = ("_loop", "_queue", "_timer", "seconds")

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._queue: deque[Timed] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> Timed:
        """Note that the running task begins a request."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._loop, self._timer = loop, None
            self._queue.clear()
        timed = Timed(asyncio.current_task(loop), loop.time() + self.seconds)
        self._queue.append(timed)
        if self._timer is None:
            self._timer = loop.call_at(timed.when, self._look, loop)
        return timed

    def end(self, timed: Timed) -> None:
        """Note that a request is over."""
        timed.task = None
        queue = self._queue
        while queue and queue[0].task is None:
            queue.popleft()

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        """End what is due; look again when the next one is."""
        queue, now = self._queue, loop.time()
        while queue and (queue[0].task is None or queue[0].when <= now):
            due = queue.popleft()
            if due.task is not None:
                due.expired = True
                due.task.cancel()
        self._timer = loop.call_at(queue[0].when, self._look, loop) if queue else None
