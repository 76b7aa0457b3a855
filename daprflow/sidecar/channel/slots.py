"""How many calls on an app run at one time."""

import asyncio
from collections import deque


class Slots:
    """Limits how many calls run at one time; ``limit`` None does not."""

    def __init__(self, limit: int | None) -> None:
        self.limited = limit is not None and limit > 0
        self._free = limit or 0
        self._waiters: deque[asyncio.Future[None]] = deque()

    async def take(self) -> None:
        """Wait for a slot and take it."""
        if self._free > 0:
            self._free -= 1
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self.give()
            raise

    def give(self) -> None:
        """Give a slot back."""
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
        self._free += 1
