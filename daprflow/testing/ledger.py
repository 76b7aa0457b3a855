"""What passed through pub/sub while a test ran, and what became of it."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from daprflow.protocol.deliveries import Status
from daprflow.sidecar.app.postman import Verdict
from daprflow.sidecar.components.base import Message

_WORST = (Status.SUCCESS, Status.DROP, Status.RETRY)


@dataclass(frozen=True, slots=True)
class EventKey:
    """One event: an envelope holds a unique id, so its bytes tell it from all others."""

    pubsub: str
    topic: str
    data: bytes


class Ledger:
    """What the pub/sub blocks of all sidecars of a test did."""

    def __init__(self) -> None:
        self._published: dict[tuple[str, str], list[Message]] = {}
        self._first: dict[EventKey, dict[str, Status]] = {}
        self._followed: dict[asyncio.Task[object], list[EventKey]] = {}
        self._news = asyncio.Event()

    def observer(self, app_id: str) -> "Observer":
        """Return what watches the pub/sub block of one app."""
        return Observer(self, app_id)

    def note_published(self, pubsub: str, message: Message) -> None:
        """Note that a broker accepted ``message``."""
        self._published.setdefault((pubsub, message.topic), []).append(message)
        task = asyncio.current_task()
        if task is not None and task in self._followed:
            self._followed[task].append(EventKey(pubsub, message.topic, message.data))

    def note_delivered(self, app_id: str, key: EventKey, status: Status) -> None:
        """Note one attempt of an app; its first one counts."""
        self._first.setdefault(key, {}).setdefault(app_id, status)
        self._news.set()

    def messages(self, pubsub: str, topic: str) -> tuple[Message, ...]:
        """Return what was published on a topic, in order."""
        return tuple(self._published.get((pubsub, topic), ()))

    def verdict(self, key: EventKey, subscribers: frozenset[str]) -> Status | None:
        """Return what the first attempts came to, the worst of them; None while one is missing.

        Args:
            key: the event.
            subscribers: the apps that are to handle it.
        """
        found = self._first.get(key, {})
        if not found or not subscribers <= found.keys():
            return None
        return max(found.values(), key=_WORST.index)

    async def arrives(self, key: EventKey, subscribers: frozenset[str]) -> None:
        """Wait for the first attempt to deliver an event to each of ``subscribers``."""
        while self.verdict(key, subscribers) is None:
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


class Observer:
    """Watches the pub/sub block of one app's sidecar."""

    def __init__(self, ledger: Ledger, app_id: str) -> None:
        self._ledger = ledger
        self._app_id = app_id

    def published(self, pubsub: str, message: Message, /) -> None:
        """Note that a broker accepted ``message``."""
        self._ledger.note_published(pubsub, message)

    def delivered(self, pubsub: str, message: Message, verdict: Verdict, /) -> None:
        """Note one attempt to deliver ``message``."""
        key = EventKey(pubsub, message.topic, message.data)
        self._ledger.note_delivered(self._app_id, key, verdict.status)
