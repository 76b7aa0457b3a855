"""The loop of an app that publishes and handles: seconds for each line with a number of events."""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable

PUBLISHERS = 32


class Counter:
    """Counts what was handled, and knows when that is enough."""

    def __init__(self) -> None:
        self._left = 0
        self._done = asyncio.Event()

    def expect(self, count: int) -> None:
        """Begin to count."""
        self._left = count
        self._done.clear()

    def handled(self) -> None:
        """Count one event."""
        self._left -= 1
        if not self._left:
            self._done.set()

    async def enough(self) -> None:
        """Wait for the last."""
        async with asyncio.timeout(120):
            await self._done.wait()


async def flow(counter: Counter, publish: Callable[[int], Awaitable[object]], count: int) -> float:
    """Publish so many events from a few publishers; the seconds until the last was handled."""
    numbers = iter(range(count))

    async def one_after_another() -> None:
        for number in numbers:
            await publish(number)

    counter.expect(count)
    began = time.perf_counter()
    await asyncio.gather(*(one_after_another() for _ in range(PUBLISHERS)))
    await counter.enough()
    return time.perf_counter() - began


async def take_orders(counter: Counter, publish: Callable[[int], Awaitable[object]]) -> None:
    """Say the seconds for each line of standard input."""
    while line := await asyncio.to_thread(sys.stdin.readline):
        print(await flow(counter, publish, int(line)), flush=True)
