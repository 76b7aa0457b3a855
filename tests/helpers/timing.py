"""Waiting for something to happen, while virtual time goes on."""

import asyncio
from collections.abc import Callable

from daprflow.sidecar.clock import VirtualClock


async def until(clock: VirtualClock, done: Callable[[], bool], within: float = 10.0) -> None:
    """Let work go on, moving ``clock`` to what is due next, until ``done()`` holds."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within
    while not done():
        assert loop.time() < deadline, "what was awaited did not happen"
        await asyncio.sleep(0.002)
        if not done() and (due := clock.due()) is not None:
            clock.move_to(due)


async def eventually(done: Callable[[], bool], within: float = 10.0) -> None:
    """Let real work go on until ``done()`` holds."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within
    while not done():
        assert loop.time() < deadline, "what was awaited did not happen"
        await asyncio.sleep(0.002)
