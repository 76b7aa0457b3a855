"""Deadlines of calls under way: one timer for all of them, as each alone costs more than its call.

A timer per call (`asyncio.timeout`) is a tenth of what a call costs. Calls mostly have the same
time, so the timer that stands is early enough for the next one.
"""

import asyncio


class Deadline:
    """What one call has left; made by ``Deadlines.begin``."""

    __slots__ = ("_cancelling", "expired", "task", "when")

    def __init__(self, task: "asyncio.Task[object]", when: float) -> None:
        self.task: asyncio.Task[object] = task
        self.when: float = when
        self.expired: bool = False
        self._cancelling = task.cancelling()

    def expire(self) -> None:
        """Cancel the call."""
        self.expired = True
        self.task.cancel()

    def was_it(self) -> bool:
        """Tell, in the cancelled call, whether this cancelled it and nobody else did."""
        return self.expired and self.task.uncancel() <= self._cancelling


class Deadlines:
    """Cancels the calls of one event loop that take too long."""

    __slots__ = ("_loop", "_timer", "_under_way")

    def __init__(self) -> None:
        self._under_way: set[Deadline] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, seconds: float) -> Deadline:
        """Note that the running task begins a call."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self.close()
            self._loop = loop
        task = asyncio.current_task(loop)
        if task is None:
            raise RuntimeError("a client's calls are awaited in a task")
        deadline = Deadline(task, loop.time() + seconds)
        self._under_way.add(deadline)
        if self._timer is None or deadline.when < self._timer.when():
            self._set(loop, deadline.when)
        return deadline

    def end(self, deadline: Deadline) -> None:
        """Note that a call is over."""
        self._under_way.discard(deadline)

    def close(self) -> None:
        """Look no more: the way is closed, or another event loop takes over."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop = None
        self._under_way.clear()

    def _set(self, loop: asyncio.AbstractEventLoop, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = loop.call_at(when, self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        """End what is due; look again when the next one is."""
        self._timer = None
        now = loop.time()
        for deadline in [each for each in self._under_way if each.when <= now]:
            self._under_way.discard(deadline)
            deadline.expire()
        if self._under_way:
            self._set(loop, min(each.when for each in self._under_way))
