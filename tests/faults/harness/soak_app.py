"""The app that works for a long time: events and workflows, and how many tasks it has.

``SOAK_LEAK`` in its environment makes it keep so many bytes of each event, and every tenth
time a task and an open file: what the harness must find.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import IO

from daprflow import DaprFlow, Topic, WorkflowContext

LEAK = "SOAK_LEAK"

app = DaprFlow("soak")
numbers = Topic("pubsub", "numbers", int)


class Leak:
    """What is kept for ever, on purpose.

    Args:
        size: bytes of each event; 0 keeps nothing.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._kept: list[bytes] = []
        self._tasks: list[asyncio.Task[bool]] = []
        self._files: list[IO[bytes]] = []

    def keep(self, number: int) -> None:
        """Keep something of an event."""
        if not self._size:
            return
        self._kept.append(os.urandom(self._size))
        if not number % 5:
            self._tasks.append(asyncio.create_task(asyncio.Event().wait()))
            self._files.append(Path(__file__).open("rb"))  # noqa: SIM115 - it is kept

    def close(self) -> None:
        """Let go of what would complain."""
        for task in self._tasks:
            task.cancel()
        for file in self._files:
            file.close()


@app.provide
async def leak() -> AsyncIterator[Leak]:
    """Make what leaks, if it is asked for."""
    made = Leak(int(os.environ.get(LEAK, "0")))
    yield made
    made.close()


@app.topic(numbers)
async def take(number: int, *, leak: Leak) -> None:
    """Handle an event."""
    leak.keep(number)


@app.activity
async def double(number: int) -> int:
    """Return twice as much."""
    return 2 * number


@app.workflow
async def doubled(ctx: WorkflowContext, number: int) -> int:
    """Have an activity double a number."""
    return await ctx.call(double, number)
