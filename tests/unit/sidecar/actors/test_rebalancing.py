"""Actors over the replicas of an app: where they are while replicas come, leave and die."""

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field

import pytest

from daprflow.sidecar.actors.host import ActorAnswer, ActorCall, HostAway
from daprflow.sidecar.actors.hosted import HostedType, Leave
from daprflow.sidecar.actors.placement import Placement
from daprflow.sidecar.actors.settings import TypeSettings
from daprflow.sidecar.clock import VirtualClock
from daprflow.sidecar.engine import Work
from tests.helpers.actor_hosts import RecordingHost

DRAIN = 60.0


@dataclass
class Shop:
    """What all replicas share: the store, and what must hold of it.

    Attributes:
        saved: turns that ended, by actor.
        at: the replica at which an actor is active.
        turning: actors with a turn under way.
        moved: activations at another replica than before.
    """

    chance: random.Random
    saved: Counter[str] = field(default_factory=Counter)
    at: dict[str, int] = field(default_factory=dict)
    turning: set[str] = field(default_factory=set)
    last: dict[str, int] = field(default_factory=dict)
    moved: int = 0


class Replica(RecordingHost):
    """One process: a turn reads the actor's state, takes a while, and saves it."""

    def __init__(self, shop: Shop, number: int) -> None:
        super().__init__()
        self.shop = shop
        self.number = number

    async def invoke(self, kind: str, actor_id: str, call: ActorCall) -> ActorAnswer:
        """Have a turn, which must be the only one of its actor anywhere."""
        del kind
        shop = self.shop
        assert shop.at.setdefault(actor_id, self.number) == self.number
        assert actor_id not in shop.turning
        shop.moved += shop.last.setdefault(actor_id, self.number) != self.number
        shop.last[actor_id] = self.number
        shop.turning.add(actor_id)
        count = shop.saved[actor_id]
        for _ in range(shop.chance.randrange(12)):
            await asyncio.sleep(0)
        shop.saved[actor_id] = count + 1
        shop.turning.discard(actor_id)
        return ActorAnswer(call.data, ())

    async def deactivate(self, kind: str, actor_id: str) -> None:
        """Let the actor be active elsewhere."""
        del kind
        for _ in range(self.shop.chance.randrange(4)):
            await asyncio.sleep(0)
        assert actor_id not in self.shop.turning
        assert self.shop.at.pop(actor_id) == self.number


class Town:
    """A placement and the replicas that are registered with it, by their numbers."""

    def __init__(self) -> None:
        self.clock = VirtualClock(1_000_000.0)
        self.work = Work()
        self.placement = Placement(self.clock, lambda _: None, self.left)
        self.hosted: dict[int, HostedType] = {}

    async def left(self, kind: str) -> None:
        """Do nothing: reminders are not what this is about."""

    async def join(self, number: int, host: RecordingHost) -> None:
        """Register a replica."""
        self.hosted[number] = HostedType(
            "Cart",
            "shop",
            host,
            TypeSettings(drain=DRAIN),
            clock=self.clock,
            work=self.work,
            timeout=lambda: None,
            replica=number,
        )
        await self.placement.register(self.hosted[number])

    async def leave(self, number: int, how: Leave = Leave.IN_TIME) -> None:
        """Take a replica away."""
        await self.placement.unregister(self.hosted.pop(number), how)

    async def call(self, actor_id: str, patience: float = 5.0) -> None:
        """Call an actor."""
        call = ActorCall("m", b"")
        await self.placement.call("Cart", actor_id, lambda h: h.invoke(actor_id, call), patience)


async def rest() -> None:
    """Let everything go on that can."""
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.mark.parametrize("seed", range(12))
async def test_turns_while_replicas_come_and_leave(seed: int) -> None:
    """Whatever the order, an actor is active at one replica alone and no turn gets lost."""
    chance = random.Random(seed)  # noqa: S311 - no secrets
    shop, town = Shop(chance), Town()
    await town.join(1, Replica(shop, 1))
    pending: set[asyncio.Task[None]] = set()
    made: Counter[str] = Counter()
    for _ in range(400):
        step = chance.random()
        if step < 0.06 and len(town.hosted) < 5:
            number = next(n for n in range(1, 6) if n not in town.hosted)
            pending.add(asyncio.create_task(town.join(number, Replica(shop, number))))
        elif step < 0.12 and town.hosted:
            number = chance.choice(sorted(town.hosted))
            leaving = town.placement.unregister(town.hosted.pop(number))
            pending.add(asyncio.create_task(leaving))
        else:
            actor_id = str(chance.randrange(8))
            made[actor_id] += 1
            pending.add(asyncio.create_task(town.call(actor_id)))
        for _ in range(chance.randrange(3)):
            await asyncio.sleep(0)
    if not town.hosted:
        await town.join(1, Replica(shop, 1))
    await asyncio.gather(*pending)
    assert shop.saved == made
    assert shop.moved > 5
    assert not town.work.count


async def test_the_share_of_each_replica() -> None:
    """Ids that look alike are spread evenly, and a further replica takes only what is its own."""
    town = Town()
    hosts = {number: RecordingHost() for number in (1, 2, 3, 4)}
    for number in (1, 2, 3):
        await town.join(number, hosts[number])
    ids = [f"cart-{number:04}" for number in range(600)]
    for actor_id in ids:
        await town.call(actor_id)
    assert all(150 < hosted.count < 250 for hosted in town.hosted.values())
    await town.join(4, hosts[4])
    for actor_id in ids:
        await town.call(actor_id)
    ended = [text for host in hosts.values() for text in host.done if text.endswith(" ends")]
    assert len(ended) == town.hosted[4].count
    assert 100 < len(ended) < 200


async def test_a_replica_that_comes_back_gets_what_it_had() -> None:
    """The ids go by its number, so that the same actors return."""
    town = Town()
    hosts = {number: RecordingHost() for number in (1, 2, 3)}
    for number, host in hosts.items():
        await town.join(number, host)
    for number in range(60):
        await town.call(str(number))
    before = set(town.hosted[2].active_ids())
    await town.leave(2)
    for number in range(60):
        await town.call(str(number))
    await town.join(2, hosts[2])
    for number in range(60):
        await town.call(str(number))
    assert set(town.hosted[2].active_ids()) == before


async def test_a_call_on_a_replica_that_is_gone() -> None:
    """It waits for the others to take over, and is made there."""
    town = Town()
    one, two = RecordingHost(), RecordingHost(failing=HostAway("connection refused"))
    await town.join(1, one)
    await town.join(2, two)
    ids = [str(number) for number in range(10)]
    calls = [asyncio.create_task(town.call(actor_id)) for actor_id in ids]
    await rest()
    waiting = [call for call in calls if not call.done()]
    assert 0 < len(waiting) < 10
    await town.leave(2, Leave.SILENTLY)
    await asyncio.gather(*calls)
    assert sorted(one.done) == sorted(f"Cart/{actor_id}/m" for actor_id in ids)


async def test_a_call_does_not_wait_for_ever_for_others_to_take_over() -> None:
    """A replica that stays, and cannot be reached, fails the call after the limit."""
    town = Town()
    await town.join(1, RecordingHost(failing=HostAway("connection refused")))
    await town.join(2, RecordingHost(failing=HostAway("connection refused")))
    call = asyncio.create_task(town.call("1", patience=5))
    await rest()
    assert not call.done()
    town.clock.move_to(town.clock.now() + 5)
    with pytest.raises(HostAway):
        await call


async def test_a_call_on_the_only_host_that_is_gone() -> None:
    """It fails at once: nobody else can take over."""
    town = Town()
    await town.join(1, RecordingHost(failing=HostAway("connection refused")))
    with pytest.raises(HostAway):
        await town.call("1", patience=5)
