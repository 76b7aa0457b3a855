"""What passed through pub/sub while a test ran, and what became of it."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from daprflow.protocol.deliveries import Status
from daprflow.sidecar.app.postman import Verdict
from daprflow.sidecar.components.base import Message


@dataclass(frozen=True, slots=True)
class EventKey:
    """One event: an envelope holds a unique id, so its bytes tell it from all others."""

    pubsub: str
    topic: str
    data: bytes


class Ledger:
    """Watches the pub/sub block of a sidecar."""

    def __init__(self) -> None:
        self._published: dict[tuple[str, str], list[Message]] = {}
        self._first: dict[EventKey, Status] = {}
        self._followed: dict[asyncio.Task[object], list[EventKey]] = {}
        self._news = asyncio.Event()

    def published(self, pubsub: str, message: Message, /) -> None:
        """Note that a broker accepted ``message``."""
        self._published.setdefault((pubsub, message.topic), []).append(message)
        task = asyncio.current_task()
        if task is not None and task in self._followed:
            self._followed[task].append(EventKey(pubsub, message.topic, message.data))

    def delivered(self, pubsub: str, message: Message, verdict: Verdict, /) -> None:
        """Note one attempt to deliver ``message``; the first one counts."""
        key = EventKey(pubsub, message.topic, message.data)
        self._first.setdefault(key, verdict.status)
        self._news.set()

    def messages(self, pubsub: str, topic: str) -> tuple[Message, ...]:
        """Return what was published on a topic, in order."""
        return tuple(self._published.get((pubsub, topic), ()))

    def verdict(self, key: EventKey) -> Status | None:
        """Return what the first attempt came to, None while there was none."""
        return self._first.get(key)

    async def arrives(self, key: EventKey) -> None:
        """Wait for the first attempt to deliver an event."""
        while key not in self._first:
            self._news.clear()
            await self._news.wait()

    @contextmanager
    def following(self) -> Iterator[list[EventKey]]:
        """Collect the events that the running task itself publishes."""
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("the test kit is used outside of a running event loop")
        events = self._followed[task] = []
        try:
            yield events
        finally:
            del self._followed[task]
