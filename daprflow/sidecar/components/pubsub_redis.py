"""``pubsub.redis``: streams and consumer groups of a Redis server, shared with real runtimes."""

import logging
from collections.abc import Awaitable, Callable, Collection, Mapping

import msgspec

from daprflow.sidecar.clock import Clock
from daprflow.sidecar.components.base import (
    ComponentContext,
    ComponentError,
    Message,
    Receive,
)
from daprflow.sidecar.components.redis_link import Argument, RedisLink
from daprflow.sidecar.components.redis_settings import redis_seconds, whole_number
from daprflow.sidecar.components.redis_stream import Slots, StreamReader, StreamSettings

logger = logging.getLogger(__name__)


class RedisPubSub:
    """A stream for each topic, with a consumer group for each consumer id.

    A new group gets everything that the stream still holds. As with the real one a failed event is
    acknowledged, and so gone where neither a dead letter topic nor a resiliency policy takes it;
    one that never got to the app is not, and comes again after ``processingTimeout``.
    """

    dead_letter_after = 1
    serial = False
    keeps_ttl = False
    capabilities: tuple[str, ...] = ()

    def __init__(self, context: ComponentContext) -> None:
        metadata = context.metadata
        self._name = context.name
        self._clock: Clock = context.clock
        self._link = RedisLink(context)
        self._settings = StreamSettings(
            processing_timeout=redis_seconds(metadata, "processingTimeout", 60.0),
            redeliver_interval=redis_seconds(metadata, "redeliverInterval", 15.0),
            queue_depth=whole_number(metadata, "queueDepth", 100) or 100,
            concurrency=whole_number(metadata, "concurrency", 10) or 10,
        )
        self._max_length = whole_number(metadata, "maxLenApprox", 0)
        self._stream_ttl = redis_seconds(metadata, "streamTTL", 0.0)
        self._slots: dict[tuple[str, int], Slots] = {}
        self._readers: set[StreamReader] = set()

    async def open(self) -> None:
        """Connect."""
        await self._link.open()
        if self._max_length and self._stream_ttl:
            logger.warning(
                "'%s' has maxLenApprox and streamTTL, of which Redis takes one; maxLenApprox holds",
                self._name,
            )

    async def close(self) -> None:
        """Stop every subscription and disconnect."""
        for reader in tuple(self._readers):
            await self._stop(reader)
        await self._link.close()

    async def publish(self, message: Message, /) -> None:
        """Append ``message`` to the stream of its topic."""
        fields: list[Argument] = ["data", message.data]
        if message.metadata is not None:
            fields += ["metadata", msgspec.json.encode(message.metadata)]
        try:
            await self._link.command("XADD", message.topic, *self._trimming(), "*", *fields)
        except ComponentError as error:
            raise ComponentError(f"redis streams: error from publish: {error}") from error

    async def subscribe(
        self,
        topic: str,
        consumer: str,
        metadata: Mapping[str, str],  # noqa: ARG002 - the real one has none
        receive: Receive,
        /,
        *,
        concurrency: int = 32,  # noqa: ARG002 - the component's own setting says it, for all topics
        held_up: Callable[[], None] | None = None,  # noqa: ARG002 - nothing is
        member: int = 1,
    ) -> Callable[[], Awaitable[None]]:
        """Start delivering ``topic`` to the group ``consumer``, beginning with the backlog."""
        slots = self._slots.setdefault((consumer, member), Slots(self._settings.concurrency))
        reader = StreamReader(
            pubsub=self._name,
            topic=topic,
            group=consumer,
            receive=receive,
            link=self._link,
            settings=self._settings,
            slots=slots,
            clock=self._clock,
            others=self._others,
        )
        self._readers.add(reader)
        await reader.start()

        async def stop() -> None:
            await self._stop(reader)

        return stop

    def subscribed(self, consumer: str, topics: Collection[str], /) -> None:
        """Do nothing: what a stream keeps is the server's matter."""

    def _others(self, reader: StreamReader) -> list[Receive]:
        """Return who else takes what one reader gets: those of other replicas."""
        return [
            each.receive
            for each in self._readers
            if each is not reader and each.place == reader.place
        ]

    async def _stop(self, reader: StreamReader) -> None:
        self._readers.discard(reader)
        await reader.stop()

    def _trimming(self) -> list[Argument]:
        """Return what keeps a stream short, as options of XADD."""
        if self._max_length:
            return ["MAXLEN", "~", self._max_length]
        if self._stream_ttl:
            oldest = int((self._clock.now() - self._stream_ttl) * 1000)
            return ["MINID", "~", f"{oldest}-1"]
        return []
