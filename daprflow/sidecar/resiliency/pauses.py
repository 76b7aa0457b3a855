"""Pauses between attempts; the end of deliveries, of the sidecar or of a wait cuts them short."""

import asyncio

from daprflow.sidecar.clock import Clock
from daprflow.sidecar.engine import Work
from daprflow.sidecar.resiliency.caller import CALLER


class Pauses:
    """The pauses of many calls, ended together by `stop`.

    A call that pauses is no work in flight: a test that waits for rest must not wait for it.

    Args:
        clock: the engine's.
        work: the engine's.
        for_callers: whether a pause ends when the caller of the HTTP API leaves.
    """

    def __init__(self, clock: Clock, work: Work, *, for_callers: bool = False) -> None:
        self._for_callers = for_callers
        self._clock = clock
        self._work = work
        self._waiting: dict[asyncio.Future[bool], int] = {}
        self._stopped = False

    async def wait(self, seconds: float, share: int = 1) -> bool:
        """Pause; tell whether the time passed: `stop` ends it, and so does a caller who leaves.

        Args:
            seconds: how long.
            share: how many pieces of work rest meanwhile.
        """
        if self._stopped:
            return False
        waiter: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting[waiter] = share
        self._work.rest(share)
        timer = self._clock.call_at(
            self._clock.now() + seconds, lambda: self._wake(waiter, passed=True)
        )
        watch = self._watch(waiter)
        try:
            return await waiter
        finally:
            timer.cancel()
            if watch is not None:
                watch.cancel()
            self._wake(waiter, passed=False)  # where the call itself was cancelled

    def _watch(self, waiter: asyncio.Future[bool]) -> asyncio.Task[None] | None:
        caller = CALLER.get() if self._for_callers else None
        if caller is None or caller.answered:
            return None

        def left(_: asyncio.Task[None]) -> None:
            if not caller.answered:  # after the answer it goes on for others
                self._wake(waiter, passed=False)

        watch = asyncio.get_running_loop().create_task(caller.left())
        watch.add_done_callback(left)
        return watch

    def stop(self) -> None:
        """End every pause; later ones end at once."""
        self._stopped = True
        for waiter in tuple(self._waiting):
            self._wake(waiter, passed=False)

    def resume(self) -> None:
        """Let later calls pause again."""
        self._stopped = False

    def _wake(self, waiter: asyncio.Future[bool], *, passed: bool) -> None:
        """Count the call as work again, in the moment in which it goes on."""
        share = self._waiting.pop(waiter, None)
        if share is not None:
            self._work.resume(share)
            if not waiter.done():
                waiter.set_result(passed)
