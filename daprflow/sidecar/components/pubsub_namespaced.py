"""A broker that apps of several namespaces share: each has topics of its own there."""

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass

import msgspec

from daprflow.protocol.resources import ComponentResource
from daprflow.sidecar.components.base import Message, PubSub, Receive

PLACEHOLDER = "{namespace}"


def is_namespaced(resource: ComponentResource) -> bool:
    """Tell whether a component's metadata ask for topics by namespace, as in the real runtime."""
    return any(PLACEHOLDER in (item.value or "") for item in resource.metadata)


@dataclass(frozen=True, slots=True)
class NamespacedPubSub:
    """A broker on which every topic has a prefix, without anything between the two."""

    inner: PubSub
    prefix: str

    @property
    def capabilities(self) -> tuple[str, ...]:
        """What the broker can."""
        return self.inner.capabilities

    @property
    def dead_letter_after(self) -> int:
        """As the broker has it."""
        return self.inner.dead_letter_after

    @property
    def serial(self) -> bool:
        """As the broker has it."""
        return self.inner.serial

    @property
    def keeps_ttl(self) -> bool:
        """As the broker has it."""
        return self.inner.keeps_ttl

    async def open(self) -> None:
        """Leave it to whoever opens the broker."""

    async def close(self) -> None:
        """Leave it to whoever opened the broker."""

    async def publish(self, message: Message, /) -> None:
        """Publish on the topic of this namespace."""
        await self.inner.publish(
            msgspec.structs.replace(message, topic=self.prefix + message.topic)
        )

    async def subscribe(
        self,
        topic: str,
        consumer: str,
        metadata: Mapping[str, str],
        receive: Receive,
        /,
        *,
        concurrency: int = 32,
        held_up: Callable[[], None] | None = None,
        member: int = 1,
    ) -> Callable[[], Awaitable[None]]:
        """Deliver what comes on the topic of this namespace, under the name the app knows."""

        def unprefixed(message: Message) -> Awaitable[None]:
            topic = message.topic.removeprefix(self.prefix)
            return receive(msgspec.structs.replace(message, topic=topic))

        return await self.inner.subscribe(
            self.prefix + topic,
            consumer,
            metadata,
            unprefixed,
            concurrency=concurrency,
            held_up=held_up,
            member=member,
        )

    def subscribed(self, consumer: str, topics: Collection[str], /) -> None:
        """Note what the app subscribes to."""
        self.inner.subscribed(consumer, {self.prefix + topic for topic in topics})
