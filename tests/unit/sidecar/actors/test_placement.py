"""Placement: who hosts what, who waits for a host, and what moves when hosts come and go."""

import asyncio
import logging
from collections import Counter

import pytest

from daprflow.sidecar.actors.host import ActorCall
from daprflow.sidecar.actors.hosted import HostedType, Leave
from daprflow.sidecar.actors.placement import NoHost, Placement
from daprflow.sidecar.actors.settings import TypeSettings
from daprflow.sidecar.actors.turns import TurnCut
from daprflow.sidecar.clock import VirtualClock
from daprflow.sidecar.engine import Work
from tests.helpers.actor_hosts import RecordingHost


class Town:
    """A placement with hosts in memory."""

    def __init__(self) -> None:
        self.clock = VirtualClock(1_000_000.0)
        self.work = Work()
        self.told: list[str] = []
        self.placement = Placement(self.clock, self.came, self.left)

    def came(self, kind: str) -> None:
        """Note the first host of a type."""
        self.told.append(f"{kind} came")

    async def left(self, kind: str) -> None:
        """Note the end of the last one."""
        self.told.append(f"{kind} left")

    def hosted(
        self, host: RecordingHost, app_id: str = "a", settings: TypeSettings | None = None
    ) -> HostedType:
        """Return a type on a host, not registered yet."""
        return HostedType(
            "T",
            app_id,
            host,
            settings or TypeSettings(),
            clock=self.clock,
            work=self.work,
            timeout=lambda: None,
        )

    async def call(self, actor_id: str, method: str = "m", patience: float = 0.0) -> None:
        """Call an actor."""
        call = ActorCall(method, b"")
        await self.placement.call("T", actor_id, lambda h: h.invoke(actor_id, call), patience)


async def rest() -> None:
    """Let everything go on that can."""
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.fixture
def town() -> Town:
    """A placement without hosts."""
    return Town()


@pytest.mark.row("I-AC")
async def test_a_call_without_a_host(town: Town, caplog: pytest.LogCaptureFixture) -> None:
    """It fails in the real runtime's words, and the log says which types there are."""
    await town.placement.register(
        HostedType(
            "Other",
            "shop",
            RecordingHost(),
            TypeSettings(),
            clock=town.clock,
            work=town.work,
            timeout=lambda: None,
        )
    )
    with (
        caplog.at_level(logging.WARNING),
        pytest.raises(NoHost, match="did not find address for actor 'T/1'"),
    ):
        await town.call("1")
    assert "hosted are: 'Other' (shop)" in caplog.text


async def test_a_call_waits_for_a_host(town: Town) -> None:
    """A host that comes in time gets the call that was made before."""
    call = asyncio.create_task(town.call("1", patience=5))
    await rest()
    town.clock.move_to(town.clock.now() + 4)
    host = RecordingHost()
    await town.placement.register(town.hosted(host))
    await call
    assert host.done == ["T/1/m"]


async def test_a_call_does_not_wait_for_ever(town: Town) -> None:
    """After the limit it fails, and nothing is left of it."""
    call = asyncio.create_task(town.call("1", patience=5))
    await rest()
    town.clock.move_to(town.clock.now() + 5)
    with pytest.raises(NoHost):
        await call
    assert town.clock.due() is None


@pytest.mark.row("I-AL")
async def test_types_are_told_once(town: Town) -> None:
    """The first host of a type is told, and the end of its last one."""
    one, two = town.hosted(RecordingHost()), town.hosted(RecordingHost(), "b")
    await town.placement.register(one)
    await town.placement.register(two)
    await town.placement.unregister(one)
    await town.placement.unregister(two)
    assert town.told == ["T came", "T left"]
    assert town.placement.types == {}


async def test_two_hosts_share_the_ids(town: Town) -> None:
    """Each has a good part, and an actor is always at the same one."""
    hosts = {"a": RecordingHost(), "b": RecordingHost()}
    for app_id, host in hosts.items():
        await town.placement.register(town.hosted(host, app_id))
    for number in (*range(300), *range(300)):
        await town.call(str(number))
    counts = [Counter(host.done) for host in hosts.values()]
    assert all(80 < len(count) < 220 for count in counts)
    assert all(set(count.values()) == {2} for count in counts)


@pytest.mark.row("I-AL")
async def test_actors_move_to_a_host_that_comes(town: Town) -> None:
    """Those that it gets have left the old one before; the others stay where they are."""
    old, new = RecordingHost(), RecordingHost()
    hosted = town.hosted(old)
    await town.placement.register(hosted)
    for number in range(20):
        await town.call(str(number))
    await town.placement.register(town.hosted(new, "b"))
    ended = {text.split()[0] for text in old.done if text.endswith(" ends")}
    assert 0 < len(ended) < 20
    assert hosted.count == 20 - len(ended)
    for number in range(20):
        await town.call(str(number))
    assert {text.rpartition("/")[0] for text in new.done} == ended


async def test_an_actor_is_never_at_two_hosts(town: Town) -> None:
    """A call of one that moves waits for the end of its turn at the old host; others do not."""
    old, new = RecordingHost(gates={"slow": asyncio.Event()}), RecordingHost()
    await town.placement.register(town.hosted(old, settings=TypeSettings(drain=60)))
    slow = [asyncio.create_task(town.call(str(number), "slow")) for number in range(20)]
    await rest()
    coming = asyncio.create_task(town.placement.register(town.hosted(new, "b")))
    await rest()
    calls = [asyncio.create_task(town.call(str(number))) for number in range(40)]
    await rest()
    began = {text.split("/")[1] for text in new.done}
    assert began
    assert began.isdisjoint(map(str, range(20)))
    assert not coming.done()
    old.gates["slow"].set()
    await asyncio.gather(coming, *slow, *calls)
    assert sum(text.endswith("/m") for text in (*old.done, *new.done)) == 40


async def test_a_call_in_the_queue_of_a_host_that_leaves_goes_to_the_next(town: Town) -> None:
    """A call that waited for its turn is made where the actor is then, after its old turn."""
    old, new = RecordingHost(gates={"slow": asyncio.Event()}), RecordingHost()
    hosted = town.hosted(old, settings=TypeSettings(drain=60))
    await town.placement.register(hosted)
    slow = asyncio.create_task(town.call("1", "slow"))
    waiting = asyncio.create_task(town.call("1", "later", patience=5))
    await rest()
    leaving = asyncio.create_task(town.placement.unregister(hosted))
    await rest()
    await town.placement.register(town.hosted(new, "b"))
    await rest()
    assert new.done == []
    old.gates["slow"].set()
    await waiting
    assert new.done == ["T/1/later"]
    await slow
    await leaving
    assert old.done == ["T/1/slow", "T/1 ends"]


@pytest.mark.row("I-AL")
async def test_a_turn_has_its_time_when_its_host_leaves(town: Town) -> None:
    """It is cut when the time to drain is over, and the actor is told of its end then."""
    host = RecordingHost(gates={"slow": asyncio.Event()})
    hosted = town.hosted(host, settings=TypeSettings(drain=2))
    await town.placement.register(hosted)
    slow = asyncio.create_task(town.call("1", "slow"))
    await rest()
    leaving = asyncio.create_task(town.placement.unregister(hosted))
    await rest()
    town.clock.move_to(town.clock.now() + 1.9)
    await rest()
    assert not slow.done()
    town.clock.move_to(town.clock.now() + 0.1)
    with pytest.raises(TurnCut) as raised:
        await slow
    assert raised.value.leaving
    await leaving
    assert host.done == ["T/1/slow", "T/1 ends"]
    assert host.running == []


@pytest.mark.row("I-AL")
async def test_a_host_that_is_away_leaves_without_a_word(town: Town) -> None:
    """Turns are cut at once, and nobody is told."""
    host = RecordingHost(gates={"slow": asyncio.Event()})
    hosted = town.hosted(host, settings=TypeSettings(drain=60))
    await town.placement.register(hosted)
    slow = asyncio.create_task(town.call("1", "slow"))
    await rest()
    await town.placement.unregister(hosted, Leave.SILENTLY)
    with pytest.raises(TurnCut):
        await slow
    assert host.done == ["T/1/slow"]
