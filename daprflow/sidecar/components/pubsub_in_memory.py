"""``pubsub.in-memory``: the real one's bus, which forgets what fails."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence

from daprflow.sidecar.components.base import (
    ComponentContext,
    Message,
    Nack,
    Receive,
    Undelivered,
)

logger = logging.getLogger(__name__)

_Waiting = tuple[Message, asyncio.Future[None], frozenset[int]]
"""A message on a line, what its publisher waits for, and the replicas that it was at."""
_NOBODY: frozenset[int] = frozenset()


class InMemoryPubSub:
    """A bus inside this process.

    Each subscription gets one message at a time; a publish waits while that subscription handles
    the message before. A message that fails is logged and gone. Topics may hold ``*`` in
    subscriptions. Every subscriber of a topic gets each message; but of the replicas of an app one
    does: in turn, those first that are free.
    """

    dead_letter_after = 1
    serial = True
    keeps_ttl = False
    capabilities: tuple[str, ...] = ("SUBSCRIBE_WILDCARDS",)

    def __init__(self, context: ComponentContext) -> None:
        self.name = context.name
        self._lines: list[_Line] = []
        self._replicated = False
        self._turn = 0

    async def open(self) -> None:
        """Do nothing: there is nothing to connect to."""

    async def close(self) -> None:
        """Forget every subscription."""
        self._lines.clear()

    async def publish(self, message: Message, /) -> None:
        """Hand ``message`` to each subscription of its topic, in turn, when it is free."""
        lines = self._shared(message.topic) if self._replicated else tuple(self._lines)
        for line in lines:
            if line.takes(message.topic):
                await line.hand_over(message)

    async def subscribe(
        self,
        topic: str,
        consumer: str,
        metadata: Mapping[str, str],  # noqa: ARG002 - the real one has none
        receive: Receive,
        /,
        *,
        concurrency: int = 1,  # noqa: ARG002 - one by one
        held_up: Callable[[], None] | None = None,  # noqa: ARG002 - nothing is
        member: int = 1,
    ) -> Callable[[], Awaitable[None]]:
        """Start delivering ``topic``, which may hold ``*``."""
        group = (consumer, topic)
        line = _Line(self.name, topic, receive, group=group, member=member, others=self._others)
        self._lines.append(line)
        self._count_replicas()

        async def stop() -> None:
            if line in self._lines:
                self._lines.remove(line)
                self._count_replicas()
            await line.stop()

        return stop

    def subscribed(self, consumer: str, topics: Collection[str], /) -> None:
        """Do nothing: nothing is kept for anybody."""

    # ---- replicas -------------------------------------------------------------------------------

    def _count_replicas(self) -> None:
        """Note whether any app has several replicas here."""
        members = {(line.group, line.member) for line in self._lines}
        self._replicated = len(members) > len({group for group, _ in members})

    def _shared(self, topic: str) -> "Sequence[_Line]":
        """Return who gets a message: of each group the lines of one replica."""
        self._turn += 1
        groups: dict[tuple[str, str], dict[int, list[_Line]]] = {}
        for line in self._lines:
            if line.takes(topic):
                groups.setdefault(line.group, {}).setdefault(line.member, []).append(line)
        chosen: list[_Line] = []
        for replicas in groups.values():
            lines = list(replicas.values())
            start = self._turn % len(lines)
            lines = [*lines[start:], *lines[:start]]
            free = (each for each in lines if not any(line.busy for line in each))
            chosen += next(free, lines[0])
        return chosen

    def _others(self, line: "_Line", tried: frozenset[int]) -> "_Line | None":
        """Return a line of another replica that can have a message of ``line``."""
        others = [
            each for each in self._lines if each.group == line.group and each.member not in tried
        ]
        return next((each for each in others if not each.busy), others[0] if others else None)


class _Line:
    """One subscription: what is being handled, and who waits to hand over the next."""

    def __init__(
        self,
        pubsub: str,
        topic: str,
        receive: Receive,
        *,
        group: tuple[str, str],
        member: int,
        others: "Callable[[_Line, frozenset[int]], _Line | None]",
    ) -> None:
        self.pubsub = pubsub
        self.topic = topic
        self.receive = receive
        self.group = group
        self.member = member
        self._others = others
        self._parts = topic.split("*")
        self._stopped = False
        self._waiting: deque[_Waiting] = deque()
        self._task: asyncio.Task[None] | None = None

    @property
    def busy(self) -> bool:
        """Whether a message is being handled."""
        return self._task is not None

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
            self._task = loop.create_task(self._work(message, self.receive(message), _NOBODY))
            return
        turn: asyncio.Future[None] = loop.create_future()
        self._waiting.append((message, turn, _NOBODY))
        await turn

    def take_over(self, waiting: _Waiting) -> None:
        """Handle a message of another replica, after those that wait already."""
        if self._task is not None:
            self._waiting.append(waiting)
            return
        message, turn, tried = waiting
        if not turn.done():
            turn.set_result(None)
        work = self._work(message, self.receive(message), tried)
        self._task = asyncio.get_running_loop().create_task(work)

    async def stop(self) -> None:
        """Let what is being handled end; who waits goes to another replica, or on."""
        self._stopped = True
        waiting, self._waiting = self._waiting, deque()
        for message, turn, tried in waiting:
            if not turn.done() and not self._pass_on(message, tried, turn):
                turn.set_result(None)
        if self._task is not None and self._task is not asyncio.current_task():
            await asyncio.wait({self._task})

    async def _work(
        self, message: Message, handling: Awaitable[None], tried: frozenset[int]
    ) -> None:
        """Handle one message, then those that wait, until none does."""
        while True:
            await self._handle(message, handling, tried)
            following = self._next()
            if following is None:
                self._task = None
                return
            message, _, tried = following
            handling = self.receive(message)

    async def _handle(
        self, message: Message, handling: Awaitable[None], tried: frozenset[int]
    ) -> None:
        try:
            await handling
        except Nack as nack:
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            if isinstance(nack, Undelivered) and self._pass_on(message, tried, turn):
                return
            logger.warning(
                "an event on '%s/%s' failed and is gone (pubsub.in-memory delivers once): %s",
                self.pubsub,
                message.topic,
                nack,
            )
        except Exception:
            logger.exception("handling an event on '%s/%s' failed", self.pubsub, message.topic)

    def _pass_on(self, message: Message, tried: frozenset[int], turn: asyncio.Future[None]) -> bool:
        """Let another replica have a message; False where none is left that was not tried."""
        tried |= {self.member}
        other = self._others(self, tried)
        if other is not None:
            other.take_over((message, turn, tried))
        return other is not None

    def _next(self) -> _Waiting | None:
        """Return the next message whose publisher still waits, and let that one go on."""
        while self._waiting:
            waiting = self._waiting.popleft()
            turn = waiting[1]
            if not turn.done():
                turn.set_result(None)
                return waiting
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
