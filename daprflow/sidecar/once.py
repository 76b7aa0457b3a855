"""What is opened once, by whoever needs it first."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any


class Once:
    """Lets many ask for one opening; one that failed is tried again by the next who asks.

    Args:
        opening: opens.
    """

    def __init__(self, opening: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._begin = opening
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Open, or wait for the opening that others asked for; who waits may be cancelled alone.

        Raises:
            Exception: what opening raises.
        """
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._begin())
        task = self._task
        try:
            await asyncio.shield(task)
        except BaseException:
            if task.done() and self._task is task:
                self._task = None
            raise

    async def end(self) -> bool:
        """Wait for an opening under way and forget it; tell whether there is something to close."""
        task, self._task = self._task, None
        if task is None:
            return False
        await asyncio.wait({task})
        return True
