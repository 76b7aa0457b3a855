"""The bounded thread pool that runs plain ``def`` handlers."""

import asyncio
import contextvars
import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, Protocol, TypeVar

logger = logging.getLogger(__name__)

R = TypeVar("R")
THREADS = "daprflow-handler"
"""What the names of its threads begin with."""
WAITING_PER_THREAD = 4
"""How many calls may wait for each thread before further ones are refused."""


class PoolFull(Exception):  # noqa: N818 - named for the state
    """Every thread is busy and as many calls wait as may."""


class Meter(Protocol):
    """Measures what calls wait for a thread."""

    @property
    def refused(self) -> Callable[[], None]:
        """Called when a call is refused."""
        ...

    def waiting(self, work: Callable[[], Any], /) -> Callable[[], Any]:
        """Return what a thread runs in the place of ``work``, which is handed over now."""
        ...


class HandlerPool:
    """Runs functions in threads of its own; health checks never come here.

    Args:
        threads: how many run at once; four times as many may wait, the next is refused.

    Attributes:
        meter: measures the waits; None measures nothing.
    """

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self.limit: int = threads * (1 + WAITING_PER_THREAD)
        self.meter: Meter | None = None
        self._executor: ThreadPoolExecutor | None = None
        self._lock = threading.Lock()
        self._pending = 0
        self._told = False

    @property
    def pending(self) -> int:
        """How many calls run or wait."""
        return self._pending

    def open(self) -> None:
        """Make the pool usable; threads start when they are first needed."""
        self._executor = ThreadPoolExecutor(self.threads, thread_name_prefix=THREADS)

    def close(self) -> None:
        """Take no more calls; what runs ends on its own."""
        if self._executor is not None:
            self._executor.shutdown(wait=False)
            self._executor = None

    async def run(self, function: Callable[..., R], *args: Any, **kwargs: Any) -> R:
        """Call ``function`` in a thread, with the caller's context variables.

        Raises:
            PoolFull: too many calls are under way.
        """
        self._check_room()
        return await self.run_always(function, *args, **kwargs)

    async def run_always(self, function: Callable[..., R], *args: Any, **kwargs: Any) -> R:
        """As ``run``, but never refused: for what must be undone."""
        if self._executor is None:
            raise RuntimeError("the app is not running: its lifespan has not been entered")
        context = contextvars.copy_context()
        work: Callable[[], Any] = partial(context.run, _call, function, args, kwargs)
        if self.meter is not None:
            work = self.meter.waiting(work)
        with self._lock:
            self._pending += 1
        try:
            future = self._executor.submit(work)
        except BaseException:
            self._done(None)
            raise
        future.add_done_callback(self._done)
        return await asyncio.wrap_future(future)

    def _check_room(self) -> None:
        if self._pending < self.limit:
            return
        if self.meter is not None:
            self.meter.refused()
        if not self._told:
            self._told = True
            logger.warning(
                "all %d threads for plain 'def' handlers are busy and %d calls wait: "
                "further ones are refused until some end; raise 'threads' or write 'async def'",
                self.threads,
                self.limit - self.threads,
            )
        raise PoolFull

    def _done(self, _: Future[Any] | None) -> None:
        with self._lock:
            self._pending -= 1
            if self._pending < self.threads:
                self._told = False


def _call(function: Callable[..., R], args: tuple[Any, ...], kwargs: dict[str, Any]) -> R:
    try:
        return function(*args, **kwargs)
    except StopIteration as error:
        # A future cannot hold it: the waiting coroutine would never wake up (before 3.12).
        raise RuntimeError("a handler raised StopIteration") from error
