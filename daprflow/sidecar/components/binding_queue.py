"""A durable queue that stands in for the queues and topics of other systems."""

from collections.abc import Awaitable, Callable, Mapping
from typing import cast

from daprflow.sidecar.components.base import (
    BindingAnswer,
    BindingMessage,
    ComponentContext,
    ComponentError,
    Message,
    PubSub,
)
from daprflow.sidecar.components.event_lanes import PARTITION_KEY

BROKER = "pubsub.daprflow"
_LINE = "queue"
_KAFKA = "bindings.kafka"
_NAMES = ("queuename", "topic", "queue", "streamname", "subject", "eventhub")
"""What the real ones call their queue or topic."""
_SHARED = frozenset({"bindings.kafka", "bindings.azure.eventhubs", "bindings.mqtt3"})
"""The types of which every consumer group gets every message; of the others one consumer does."""
_ONLY = "the queue"
_KEYS = (PARTITION_KEY, "__key")
_OF_THE_CALL = frozenset({"traceparent", "tracestate", "baggage", "user-agent"})
"""Metadata of the call that put a message in, which are not those of its delivery."""

Receiver = Callable[[BindingMessage], Awaitable[None]]


class QueueBinding:
    """What is created comes back to the handler, one by one and in order.

    A message that fails is offered again before the next one, after 0.5 s and then after twice as
    long each time up to 60 s. Bindings of one folder and type that name the same queue or topic
    share it, whatever app they belong to. Of Kafka and its like each consumer group
    (``consumerGroup``, else the app's id) gets every message, of a queue one app does. A message's
    metadata come back with it, for Kafka also ``__key``, ``__offset``, ``__partition``,
    ``__topic`` and ``__timestamp``.
    """

    capabilities = ("INPUT_BINDING", "OUTPUT_BINDING")
    operations = ("create",)

    def __init__(self, context: ComponentContext) -> None:
        metadata = context.metadata
        self._context = context
        self._from = _places(context, "topics")
        self._to = _places(context, "publishtopic")[0]
        self._consumer = _ONLY
        if context.type in _SHARED:
            self._consumer = metadata.get("consumergroup") or context.app_id
        self._broker: PubSub | None = None
        self._stops: list[Callable[[], Awaitable[None]]] = []

    async def open(self) -> None:
        """Find the broker that all queues share."""
        if self._context.siblings is None:
            raise ComponentError("a queue needs the engine's broker; make it through an engine")
        name = f"queues of {self._context.type}"  # as far apart as the systems themselves
        self._broker = cast("PubSub", await self._context.siblings.borrow(BROKER, name))

    async def close(self) -> None:
        """Give the broker back."""
        broker, self._broker = self._broker, None
        if broker is not None and self._context.siblings is not None:
            await self._context.siblings.release(broker)

    async def invoke(
        self, operation: str, data: bytes, metadata: Mapping[str, str], /
    ) -> BindingAnswer:
        """Put ``data`` into the queue; it survives a kill once this returns."""
        del operation  # there is only one
        now = str(int(self._context.clock.now() * 1000))
        own = {name: value for name, value in metadata.items() if name not in _OF_THE_CALL}
        kept = {**own, "__timestamp": now, PARTITION_KEY: _LINE}
        key = next((metadata[name] for name in _KEYS if metadata.get(name)), "")
        if key:
            kept["__key"] = key
        await self._opened().publish(Message(self._to, data, kept))
        return BindingAnswer()

    async def start(self, receive: Receiver, /) -> None:
        """Begin to deliver what waits."""

        def taken(message: Message) -> Awaitable[None]:
            return receive(BindingMessage(message.data, self._told(message)))

        for place in self._from:
            stop = await self._opened().subscribe(place, self._consumer, {}, taken, concurrency=1)
            self._stops.append(stop)

    async def stop(self) -> None:
        """Stop delivering; what is under way ends."""
        stops, self._stops = self._stops, []
        for stop in stops:
            await stop()

    def _told(self, message: Message) -> Mapping[str, str]:
        """Return a message's metadata as the app is to see them."""
        metadata = {
            name: value
            for name, value in (message.metadata or {}).items()
            if name != PARTITION_KEY and not (name.startswith("__") and not self._is_kafka)
        }
        if self._is_kafka:
            metadata |= {
                "__offset": str(message.sequence - 1),
                "__partition": "0",
                "__topic": message.topic,
            }
        return metadata

    @property
    def _is_kafka(self) -> bool:
        return self._context.type == _KAFKA

    def _opened(self) -> PubSub:
        if self._broker is None:
            raise ComponentError("the queue is closed")
        return self._broker


def _places(context: ComponentContext, first: str) -> tuple[str, ...]:
    """Return the queues or topics that a binding names, else one of its own name."""
    given = (context.metadata.get(name, "") for name in (first, *_NAMES))
    named = next((text for text in given if text), "")
    return tuple(part.strip() for part in named.split(",") if part.strip()) or (context.name,)
