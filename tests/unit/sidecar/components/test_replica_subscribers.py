"""The built-in broker with several subscribers of one consumer, some of which are away."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from daprflow.sidecar.clock import VirtualClock
from daprflow.sidecar.components.base import ComponentContext, Message, Nack, Undelivered
from daprflow.sidecar.components.pubsub_durable import DurablePubSub

START = 1_000_000.0


@dataclass
class Replica:
    """Takes events unless it is away; ``gate`` holds back those that it has."""

    away: bool = False
    tried: int = 0
    took: list[int] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    stop: Callable[[], Awaitable[None]] | None = None

    def __post_init__(self) -> None:
        self.gate.set()

    async def receive(self, message: Message) -> None:
        """Handle one event."""
        self.tried += 1
        if self.away:
            raise Undelivered("connection refused")
        await self.gate.wait()
        if self.away:
            raise Nack("the connection was lost")
        self.took.append(int(message.data))


@dataclass
class Town:
    """A broker in memory and the subscribers of one consumer."""

    clock: VirtualClock
    broker: DurablePubSub
    replicas: list[Replica] = field(default_factory=list)
    published: int = 0

    async def join(self, replica: Replica, limit: int = 4) -> Replica:
        """Subscribe a replica."""
        replica.stop = await self.broker.subscribe(
            "t", "app", {}, replica.receive, concurrency=limit, member=len(self.replicas) + 1
        )
        self.replicas.append(replica)
        return replica

    async def publish(self, count: int) -> None:
        """Publish numbered events."""
        for _ in range(count):
            await self.broker.publish(Message("t", b"%d" % self.published))
            self.published += 1
        await at_rest()

    async def advance(self, seconds: float) -> None:
        """Let time pass."""
        end = self.clock.now() + seconds
        while (due := self.clock.due()) is not None and due <= end:
            self.clock.move_to(due)
            await at_rest()
        self.clock.move_to(end)
        await at_rest()

    @property
    def taken(self) -> list[int]:
        """All events that were handled, sorted."""
        return sorted(number for replica in self.replicas for number in replica.took)


async def at_rest() -> None:
    """Let everything go on that can."""
    for _ in range(300):
        await asyncio.sleep(0)


@asynccontextmanager
async def opened() -> AsyncIterator[Town]:
    """Open a broker in memory."""
    clock = VirtualClock(START)
    context = ComponentContext(
        "pubsub",
        "pubsub.daprflow",
        "v1",
        {},
        "app",
        clock,
        None,
        base_dir=None,  # type: ignore[arg-type]
    )
    broker = DurablePubSub(context)
    await broker.open()
    town = Town(clock, broker)
    try:
        yield town
    finally:
        for replica in town.replicas:
            replica.gate.set()
            if replica.stop is not None:
                await replica.stop()
        await broker.close()


async def test_others_take_what_one_cannot() -> None:
    """Nothing waits for a replica that is away, and after a while one event is tried there."""
    async with opened() as town:
        gone, there = await town.join(Replica(away=True)), await town.join(Replica())
        await town.publish(20)
        assert town.taken == list(range(20))
        assert town.clock.now() == START
        tried = gone.tried
        assert 1 <= tried <= 4
        await town.advance(0.6)
        await town.publish(20)
        assert there.took[-1] == 39
        assert gone.tried == tried + 1
        gone.away = False
        await town.advance(0.6)
        await town.publish(40)
        assert town.taken == list(range(80))
        assert len(gone.took) >= 10


async def test_all_are_away() -> None:
    """Events wait, few are tried, and the first replica that is back takes all of them."""
    async with opened() as town:
        one, two = await town.join(Replica(away=True)), await town.join(Replica(away=True))
        await town.publish(30)
        await town.advance(10)
        assert town.taken == []
        assert one.tried + two.tried < 100
        two.away = False
        await town.advance(1)
        assert two.took
        assert town.taken == list(range(30))
        one.away = False
        await town.advance(1)
        await town.publish(40)
        assert town.taken == list(range(70))
        assert len(one.took) >= 10


async def test_one_that_is_away_leaves() -> None:
    """The others go on, and so does the last one that came back before."""
    async with opened() as town:
        gone, there = await town.join(Replica(away=True)), await town.join(Replica())
        await town.publish(4)
        assert gone.stop is not None
        await gone.stop()
        await town.publish(4)
        assert sorted(there.took) == list(range(8))
        assert town.clock.due() is None


async def test_the_last_one_was_away() -> None:
    """When the others leave while it is passed by, it is tried again and takes what waits."""
    async with opened() as town:
        gone, there = await town.join(Replica(away=True)), await town.join(Replica())
        await town.publish(4)
        assert there.stop is not None
        await there.stop()
        await town.publish(10)
        gone.away = False
        await town.advance(1)
        assert town.taken == list(range(14))
        assert len(gone.took) == 10


@pytest.mark.parametrize("seed", range(10))
async def test_replicas_that_come_and_go(seed: int) -> None:
    """Whatever dies, returns, joins and leaves: every event is handled, none at two at one time."""
    chance = random.Random(seed)  # noqa: S311 - no secrets
    async with opened() as town:
        for _ in range(3):
            await town.join(Replica(), limit=chance.choice((1, 2, 40)))
        for _ in range(120):
            replica = chance.choice(town.replicas)
            step = chance.random()
            if step < 0.25:
                replica.away = not replica.away
            elif step < 0.35:
                replica.gate.clear()
            elif step < 0.5:
                replica.gate.set()
            elif step < 0.55 and replica.stop is not None:
                replica.gate.set()
                await replica.stop()
                replica.stop = None
            elif step < 0.6:
                await town.join(Replica(away=chance.random() < 0.5))
            elif step < 0.8:
                await town.publish(chance.randrange(8))
            else:
                await town.advance(chance.random() * 2)
        for replica in town.replicas:
            replica.away = False
            replica.gate.set()
        await town.join(Replica())
        await town.advance(120)
        assert town.taken == list(range(town.published))
        assert town.published > 30
