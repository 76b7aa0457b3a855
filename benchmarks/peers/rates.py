"""The loop of a caller: how many calls a second, for each line ``work callers seconds``."""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Mapping

Call = Callable[[], Awaitable[object]]


async def rate(call: Call, callers: int, seconds: float) -> float:
    """Return calls a second of so many callers, each of which waits for its answer."""
    done = 0
    end = time.perf_counter() + seconds

    async def again() -> None:
        nonlocal done
        while time.perf_counter() < end:
            await call()
            done += 1

    began = time.perf_counter()
    await asyncio.gather(*(again() for _ in range(callers)))
    return done / (time.perf_counter() - began)


async def take_orders(works: Mapping[str, Call]) -> None:
    """Say that it is ready, then a rate for each line of standard input."""
    print("ready", flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        work, callers, seconds = line.split()
        print(await rate(works[work], int(callers), float(seconds)), flush=True)
