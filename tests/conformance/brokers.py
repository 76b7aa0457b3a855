"""A message broker as the conformance rows see it, and what a subscriber saw."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field

from daprflow.sidecar.clock import VirtualClock
from daprflow.sidecar.components.base import Message, Nack, PubSub
from tests.helpers.timing import until

Stop = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Traits:
    """What a broker promises beyond delivering."""

    redelivers: bool
    competing: bool
    keeps_backlog: bool
    wildcards: bool
    keeps_content_type: bool = True


@dataclass(frozen=True, slots=True)
class Broker:
    """A broker under test; ``reopen`` gives it as it is after its process ended."""

    component: PubSub
    traits: Traits
    clock: VirtualClock
    reopen: Callable[[], AbstractAsyncContextManager[PubSub]]

    async def publish(self, topic: str, *numbers: int) -> None:
        """Publish numbered messages in order."""
        for number in numbers:
            await self.component.publish(Message(topic, str(number).encode()))

    async def subscribe(self, subscriber: "Subscriber", topic: str, consumer: str = "c") -> Stop:
        """Subscribe ``subscriber`` to ``topic``."""
        return await self.component.subscribe(topic, consumer, {}, subscriber.receive)

    async def until(self, done: Callable[[], bool]) -> None:
        """Let work go on, and virtual time with it, until ``done()`` holds."""
        await until(self.clock, done, 30.0)


@dataclass(slots=True)
class Subscriber:
    """Keeps what it took up and handled; ``fails`` decides which attempts fail."""

    fails: Callable[[Message], bool] = lambda _: False
    handled: list[int] = field(default_factory=list)
    failed: list[int] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)

    def receive(self, message: Message) -> Awaitable[None]:
        """Take up one message."""
        self.messages.append(message)
        return self._handle(message)

    async def _handle(self, message: Message) -> None:
        number = int(message.data)
        if self.fails(message):
            self.failed.append(number)
            raise Nack("failed on purpose")
        self.handled.append(number)
