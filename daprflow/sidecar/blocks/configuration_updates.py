"""Changes of configuration items on their way to a reader that takes them one by one."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING

from daprflow.protocol.configuration import ConfigurationItem

if TYPE_CHECKING:
    from daprflow.sidecar.engine import Work

Items = Mapping[str, ConfigurationItem]

MOST_WAITING = 256
"""Changes that wait for a slow reader; later ones are merged, so that only the newest counts."""


class ConfigurationUpdates:
    """What one reader is told: an async iterator over changes, which ends when it is closed.

    Args:
        subscription: the id.
        work: counts what the reader has not taken yet.
    """

    def __init__(self, subscription: str, work: "Work") -> None:
        self.id = subscription
        self._work = work
        self._waiting: deque[dict[str, ConfigurationItem]] = deque()
        self._something = asyncio.Event()
        self._closed = False

    def put(self, items: Items) -> None:
        """Add a change; nothing happens once this is closed."""
        if self._closed:
            return
        if len(self._waiting) >= MOST_WAITING:
            self._waiting[-1].update(items)
            return
        self._work.begin()
        self._waiting.append(dict(items))
        self._something.set()

    def close(self) -> None:
        """End the iteration; what was not taken is dropped."""
        self._closed = True
        while self._waiting:
            self._waiting.popleft()
            self._work.end()
        self._something.set()

    async def __aiter__(self) -> AsyncIterator[Items]:
        """Yield the changes in order."""
        while True:
            await self._something.wait()
            if self._closed:
                return
            items = self._waiting.popleft()
            if not self._waiting:
                self._something.clear()
            self._work.end()
            yield items
