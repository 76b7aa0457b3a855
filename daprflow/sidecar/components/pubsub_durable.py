"""``pubsub.daprflow``: the built-in broker, which keeps events until they are handled."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping
from functools import partial

from daprflow.sidecar.blocks.pubsub_publish import ttl_seconds
from daprflow.sidecar.components.base import ComponentContext, ComponentError, Message, Receive
from daprflow.sidecar.components.event_log import (
    SEQUENCE_BITS,
    EventLog,
    Group,
    MemoryLog,
    SqliteLog,
    StoredEvent,
)
from daprflow.sidecar.components.event_queue import EventQueue, Subscriber
from daprflow.sidecar.components.event_sharing import Sharing
from daprflow.sidecar.engine_file import engine_file_of

logger = logging.getLogger(__name__)

UNCLAIMED = ""
"""The consumer of the group that keeps a topic's events until somebody subscribes."""


class DurablePubSub:
    """A broker for one machine, in ``engine.db`` of the data folder, or in memory without one.

    Every consumer group that ever subscribed to a topic gets every event published since, also
    while its app is away. Events of a topic without a group wait for the first one, and those of a
    group whose app is here but has left the topic wait for its return; of such events only the
    newest 10,000 are kept (100 in memory), so that what nobody wants does not grow for ever. A
    failed event is delivered again after 0.5 s, then after twice as long each time up to 60 s,
    until it succeeds, is dropped, expires, or, where the subscription names a dead letter topic,
    after ten attempts. Events start in publish order, several at one time.
    """

    dead_letter_after = 10
    serial = False
    keeps_ttl = True
    capabilities: tuple[str, ...] = ("MESSAGE_TTL",)

    def __init__(self, context: ComponentContext) -> None:
        self.name = context.name
        self._clock = context.clock
        self._ttl = context.metadata.get("ttlinseconds", "")
        self._log: EventLog
        if context.data_dir is None:
            self._log = MemoryLog()
        else:
            self._log = SqliteLog(engine_file_of(context, context.data_dir), context.name)
        self._sharing = Sharing(context.clock)
        self._queues: dict[int, EventQueue] = {}
        self._topics: dict[str, list[EventQueue]] = {}
        self._grouping = asyncio.Lock()

    async def open(self) -> None:
        """Open the log and find the groups it knows.

        Raises:
            ComponentError: the file cannot be used, or the default TTL is no number.
        """
        self.configure({"ttlinseconds": self._ttl})
        for group in await self._log.open(self._accept):
            self._add_queue(group)

    def configure(self, metadata: Mapping[str, str], /) -> None:
        """Take another default TTL, the only setting there is.

        Raises:
            ComponentError: it is no number.
        """
        ttl = metadata.get("ttlinseconds", "")
        if ttl and ttl_seconds({"ttl": ttl}) is None:
            raise ComponentError(f"'ttlInSeconds' is '{ttl}'; write a number above 0")
        self._ttl = ttl

    async def close(self) -> None:
        """Write what is left to write."""
        await self._log.close()

    async def publish(self, message: Message, /) -> None:
        """Keep ``message`` for each group of its topic; it survives a kill once this returns."""
        queues = self._topics.get(message.topic)
        if queues is None:
            await self._queue(message.topic, UNCLAIMED)
            queues = self._topics[message.topic]
        expires = self._expires(message.metadata)
        events = [queue.make_event(message, expires) for queue in queues]
        await self._log.publish(events)
        for event in events:
            queue = self._queues[event.key >> SEQUENCE_BITS]
            if queue.unwanted_after is not None:
                self._bound(queue, event, event.key - queue.unwanted_after)

    async def subscribe(
        self,
        topic: str,
        consumer: str,
        metadata: Mapping[str, str],  # noqa: ARG002 - a broker of our own has no settings here
        receive: Receive,
        /,
        *,
        concurrency: int = 32,
        held_up: Callable[[], None] | None = None,
        member: int = 1,  # noqa: ARG002 - whoever subscribes takes part of the group's events
    ) -> Callable[[], Awaitable[None]]:
        """Start delivering ``topic`` to ``consumer``, beginning with what waits for it."""
        queue = await self._queue(topic, consumer)
        subscriber = Subscriber(receive, concurrency, held_up)
        await queue.add(subscriber)
        return partial(queue.remove, subscriber)

    def subscribed(self, consumer: str, topics: Collection[str], /) -> None:
        """Bound what waits for ``consumer`` on topics that it has left."""
        for queue in self._queues.values():
            group = queue.group
            left = group.consumer == consumer and group.topic not in topics
            if left and not queue.taken and queue.unwanted_after is None:
                queue.leave()
                logger.info(
                    "'%s' subscribes no more to '%s/%s'; of what is published from now on the "
                    "newest %d events are kept for it",
                    consumer,
                    self.name,
                    group.topic,
                    self._log.unclaimed_limit,
                )

    def _accept(self, event: StoredEvent) -> None:
        self._queues[event.key >> SEQUENCE_BITS].accept(event)

    async def _queue(self, topic: str, consumer: str) -> EventQueue:
        """Return a consumer's queue; the first consumer of a topic takes the unclaimed one."""
        async with self._grouping:
            queues = self._topics.get(topic, [])
            for queue in queues:
                if consumer in {queue.group.consumer, UNCLAIMED}:
                    return queue
            if queues and queues[0].group.consumer == UNCLAIMED:
                queues[0].give_to(await self._log.rename_group(queues[0].group, consumer))
                return queues[0]
            return self._add_queue(await self._log.add_group(topic, consumer))

    def _bound(self, queue: EventQueue, newest: StoredEvent, count: int) -> None:
        """Forget the oldest of the ``count`` events that nobody takes, once there are too many."""
        limit = self._log.unclaimed_limit
        if count == limit + 1:
            logger.warning(
                "nobody subscribes to '%s/%s'; only its newest %d events are kept "
                "until somebody does",
                self.name,
                queue.group.topic,
                limit,
            )
        if count > limit:
            self._log.forget(newest.key - limit)

    def _add_queue(self, group: Group) -> EventQueue:
        queue = EventQueue(self.name, group, self._log, self._clock, self._sharing)
        if group.consumer == UNCLAIMED:
            queue.unwanted_after = group.id << SEQUENCE_BITS
        self._queues[group.id] = queue
        self._topics.setdefault(group.topic, []).append(queue)
        return queue

    def _expires(self, metadata: Mapping[str, str] | None) -> float | None:
        seconds = ttl_seconds(metadata) if metadata else None
        if seconds is None:
            seconds = int(self._ttl) if self._ttl else None
        return None if seconds is None else self._clock.now() + seconds
