"""Pauses between attempts, which the end of deliveries or of the sidecar cuts short."""

import asyncio

from daprflow.sidecar.clock import Clock
from daprflow.sidecar.engine import Work


class Pauses:
    """The pauses of many calls, ended together by `stop`.

    A call that pauses is no work in flight: a test that waits for rest must not wait for it.
    """

    def __init__(self, clock: Clock, work: Work) -> None:
        self._clock = clock
        self._work = work
        self._waiting: dict[asyncio.Future[bool], int] = {}
        self._stopped = False

    async def wait(self, seconds: float, share: int = 1) -> bool:
        """Pause; tell whether the time passed, or `stop` ended it.

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
        try:
            return await waiter
        finally:
            timer.cancel()
            self._wake(waiter, passed=False)  # where the call itself was cancelled

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
