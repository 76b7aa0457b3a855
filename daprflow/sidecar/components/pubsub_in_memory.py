"""``pubsub.in-memory``: the real one's bus, which forgets what fails."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence

from daprflow.sidecar.components.base import ComponentContext, Message, Nack, Receive

logger = logging.getLogger(__name__)


class InMemoryPubSub:
    """A bus inside this process.

    Each subscription gets one message at a time; a publish waits while that subscription handles
    the message before. A message that fails is logged and gone. Topics may hold ``*`` in
    subscriptions. Every subscriber of a topic gets each message.
    """

    dead_letter_after = 1
    serial = True
    keeps_ttl = False
    capabilities: tuple[str, ...] = ("SUBSCRIBE_WILDCARDS",)

    def __init__(self, context: ComponentContext) -> None:
        self.name = context.name
        self._lines: list[_Line] = []

    async def open(self) -> None:
        """Do nothing: there is nothing to connect to."""

    async def close(self) -> None:
        """Forget every subscription."""
        self._lines.clear()

    async def publish(self, message: Message, /) -> None:
        """Hand ``message`` to each subscription of its topic, in turn, when it is free."""
        for line in tuple(self._lines):
            if line.takes(message.topic):
                await line.hand_over(message)

    async def subscribe(
        self,
        topic: str,
        consumer: str,  # noqa: ARG002 - every subscriber gets everything, as on the real bus
        metadata: Mapping[str, str],  # noqa: ARG002 - the real one has none
        receive: Receive,
        /,
        *,
        concurrency: int = 1,  # noqa: ARG002 - one by one
        held_up: Callable[[], None] | None = None,  # noqa: ARG002 - nothing is
    ) -> Callable[[], Awaitable[None]]:
        """Start delivering ``topic``, which may hold ``*``."""
        line = _Line(self.name, topic, receive)
        self._lines.append(line)

        async def stop() -> None:
            if line in self._lines:
                self._lines.remove(line)
            await line.stop()

        return stop

    def subscribed(self, consumer: str, topics: Collection[str], /) -> None:
        """Do nothing: nothing is kept for anybody."""


class _Line:
    """One subscription: what is being handled, and who waits to hand over the next."""

    def __init__(self, pubsub: str, topic: str, receive: Receive) -> None:
        self.pubsub = pubsub
        self.topic = topic
        self.receive = receive
        self._parts = topic.split("*")
        self._stopped = False
        self._waiting: deque[tuple[Message, asyncio.Future[None]]] = deque()
        self._task: asyncio.Task[None] | None = None

    def takes(self, topic: str) -> bool:
        """Tell whether messages on ``topic`` are for this subscription."""
        if len(self._parts) == 1:
            return self.topic == topic
        return wildcard_fits(self._parts, topic)

    async def hand_over(self, message: Message) -> None:
        """Wait until the messages before are handled; returns when this one's turn begins."""
        if self._stopped:
            return
        loop = asyncio.get_running_loop()
        if self._task is None:
            self._task = loop.create_task(self._work(message.topic, self.receive(message)))
            return
        turn: asyncio.Future[None] = loop.create_future()
        self._waiting.append((message, turn))
        await turn

    async def stop(self) -> None:
        """Let what is being handled end, and everybody who waits go on."""
        self._stopped = True
        waiting, self._waiting = self._waiting, deque()
        for _, turn in waiting:
            if not turn.done():
                turn.set_result(None)
        if self._task is not None and self._task is not asyncio.current_task():
            await asyncio.wait({self._task})

    async def _work(self, topic: str, handling: Awaitable[None]) -> None:
        """Handle one message, then those that wait, until none does."""
        while True:
            await self._handle(topic, handling)
            following = self._next()
            if following is None:
                self._task = None
                return
            topic, handling = following.topic, self.receive(following)

    async def _handle(self, topic: str, handling: Awaitable[None]) -> None:
        try:
            await handling
        except Nack as nack:
            logger.warning(
                "an event on '%s/%s' failed and is gone (pubsub.in-memory delivers once): %s",
                self.pubsub,
                topic,
                nack,
            )
        except Exception:
            logger.exception("handling an event on '%s/%s' failed", self.pubsub, topic)

    def _next(self) -> Message | None:
        """Return the next message whose publisher still waits, and let that one go on."""
        while self._waiting:
            message, turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return message
        return None


def wildcard_fits(parts: Sequence[str], topic: str) -> bool:
    """Tell whether a topic is what stands around each ``*`` of another, in linear time.

    Args:
        parts: what is between the stars; at least two.
        topic: a topic that was published to.
    """
    first, last = parts[0], parts[-1]
    if len(topic) < len(first) + len(last):
        return False
    if not topic.startswith(first) or not topic.endswith(last):
        return False
    place, end = len(first), len(topic) - len(last)
    for part in parts[1:-1]:
        found = topic.find(part, place, end)
        if found < 0:
            return False
        place = found + len(part)
    return True
