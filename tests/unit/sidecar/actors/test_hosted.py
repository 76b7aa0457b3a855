"""Actors of one type on one host: activation, idling, ends, reentrancy, and time for a turn."""

import asyncio
import logging

import pytest

from daprflow.sidecar.actors.host import ActorAnswer, ActorCall, HostAway, HostFailed, TimerDue
from daprflow.sidecar.actors.hosted import FAREWELLS, HostedType
from daprflow.sidecar.actors.settings import TypeSettings
from daprflow.sidecar.actors.turns import StackTooDeep, TurnCut
from daprflow.sidecar.clock import VirtualClock
from daprflow.sidecar.engine import Work
from daprflow.sidecar.resiliency.deadline import TimedOut
from tests.helpers.actor_hosts import RecordingHost

IDLE = TypeSettings(idle=10, drain=2)


class Bench:
    """A hosted type with a clock of its own."""

    def __init__(self, settings: TypeSettings = IDLE, host: RecordingHost | None = None) -> None:
        self.clock = VirtualClock(1_000_000.0)
        self.work = Work()
        self.limit: float | None = None
        self.host = host or RecordingHost()
        self.hosted = HostedType(
            "T",
            "a",
            self.host,
            settings,
            clock=self.clock,
            work=self.work,
            timeout=lambda: self.limit,
        )

    async def call(self, method: str = "m", turn: str = "", actor_id: str = "1") -> ActorAnswer:
        """Call a method."""
        return await self.hosted.invoke(actor_id, ActorCall(method, b"x", reentrancy_id=turn))

    async def advance(self, seconds: float) -> None:
        """Let time pass."""
        end = self.clock.now() + seconds
        while (due := self.clock.due()) is not None and due <= end:
            self.clock.move_to(due)
            await self.rest()
        self.clock.move_to(end)
        await self.rest()

    async def rest(self) -> None:
        """Let everything go on that can."""
        for _ in range(20):
            await asyncio.sleep(0)


@pytest.mark.row("I-AL")
async def test_an_idle_actor_ends() -> None:
    """It is told so when its last turn began one idle timeout ago, and is active no more."""
    bench = Bench()
    await bench.call()
    await bench.advance(6)
    await bench.call()
    await bench.advance(9.9)
    assert bench.hosted.is_active("1")
    await bench.advance(0.1)
    assert bench.host.done == ["T/1/m", "T/1/m", "T/1 ends"]
    assert not bench.hosted.is_active("1")
    assert bench.work.count == 0


@pytest.mark.row("I-AL")
async def test_ticks_keep_an_actor_awake() -> None:
    """A tick of a timer or a reminder is a turn like any other."""
    bench = Bench()
    await bench.call()
    await bench.advance(6)
    await bench.hosted.remind("1", "r", data=TimerDue("", "", "", "").data)
    await bench.advance(6)
    await bench.hosted.fire("1", TimerDue("t", "", "", ""))
    await bench.advance(6)
    assert bench.host.done == ["T/1/m", "T/1/remind/r", "T/1/timer/t"]


async def test_each_actor_has_its_own_end() -> None:
    """The oldest one ends first, whatever the order of activation."""
    bench = Bench()
    for actor_id in ("a", "b", "c"):
        await bench.call(actor_id=actor_id)
        await bench.advance(1)
    await bench.call(actor_id="a")
    await bench.advance(9)
    assert [text for text in bench.host.done if "ends" in text] == ["T/b ends", "T/c ends"]


async def test_a_call_right_after_an_end_waits_for_it() -> None:
    """A new actor begins when the old one has been told of its end."""
    bench, told = Bench(), asyncio.Event()

    class Slow(RecordingHost):
        async def deactivate(self, kind: str, actor_id: str) -> None:
            self.done.append("ending")
            await told.wait()
            await super().deactivate(kind, actor_id)

    bench = Bench(host=Slow())
    await bench.call()
    await bench.advance(10)
    later = asyncio.create_task(bench.call("later"))
    await bench.rest()
    assert bench.host.done == ["T/1/m", "ending"]
    told.set()
    await later
    assert bench.host.done[2:] == ["T/1 ends", "T/1/later"]


async def test_a_turn_longer_than_the_idle_timeout_is_cut(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """As in the real runtime; the log says so, and who waited gets another actor."""
    bench = Bench(host=RecordingHost(gates={"slow": asyncio.Event()}))
    slow = asyncio.create_task(bench.call("slow"))
    await bench.rest()
    with caplog.at_level(logging.WARNING):
        await bench.advance(10)
    with pytest.raises(TurnCut) as raised:
        await slow
    assert not raised.value.leaving
    assert "takes longer than its idle timeout of 10 s" in caplog.text
    await bench.call()
    assert bench.host.done == ["T/1/slow", "T/1 ends", "T/1/m"]


async def test_a_turn_has_a_time() -> None:
    """A call that takes longer than its policy allows fails, and the next one has its turn."""
    bench = Bench(host=RecordingHost(gates={"slow": asyncio.Event()}))
    bench.limit = 3
    slow, later = asyncio.create_task(bench.call("slow")), asyncio.create_task(bench.call())
    await bench.rest()
    await bench.advance(3)
    with pytest.raises(TimedOut):
        await slow
    await later


async def test_a_call_that_comes_back_joins_its_turn() -> None:
    """A call with the id of the turn that it was made in does not wait for its end."""
    bench = Bench(TypeSettings(idle=10, drain=2, depth=2))
    deeper: list[Exception] = []

    def back(call: ActorCall) -> asyncio.Future[object]:
        assert ("dapr-reentrancy-id", call.reentrancy_id) in call.headers
        return asyncio.ensure_future(bench.call("inner", call.reentrancy_id))

    def too_deep(call: ActorCall) -> asyncio.Future[object]:
        async def third() -> None:
            try:
                await bench.call("third", call.reentrancy_id)
            except StackTooDeep as error:
                deeper.append(error)

        return asyncio.ensure_future(third())

    bench.host.inside = {"outer": back, "inner": too_deep}
    await bench.call("outer")
    assert bench.host.done == ["T/1/outer", "T/1/inner"]
    assert len(deeper) == 1


async def test_a_foreign_id_travels_without_reentrancy() -> None:
    """Where reentrancy is off, an id that a caller sent goes along and means nothing."""
    bench = Bench()
    headers: list[object] = []

    def look(call: ActorCall) -> asyncio.Future[object]:
        headers.extend(call.headers)
        return asyncio.ensure_future(asyncio.sleep(0))

    bench.host.inside = {"m": look, "n": look}
    await bench.call("m", "theirs")
    await bench.call("n")
    assert headers == [("dapr-reentrancy-id", "theirs")]


@pytest.mark.parametrize(
    ("error", "level"), [(HostFailed("error"), logging.ERROR), (HostAway("gone"), logging.INFO)]
)
async def test_an_end_that_fails_is_an_end(
    error: HostFailed, level: int, caplog: pytest.LogCaptureFixture
) -> None:
    """The actor is active no more whatever the app answers; the log says what went wrong."""

    class Refusing(RecordingHost):
        async def deactivate(self, kind: str, actor_id: str) -> None:
            raise error

    bench = Bench(host=Refusing())
    await bench.call()
    with caplog.at_level(logging.INFO):
        await bench.advance(10)
    assert [record.levelno for record in caplog.records] == [level]
    assert not bench.hosted.is_active("1")
    await bench.call()


@pytest.mark.row("I-AL")
async def test_a_turn_under_way_may_save_when_its_host_leaves() -> None:
    """Its actor counts as active until the turn is over, or its time is."""
    bench = Bench(host=RecordingHost(gates={"slow": asyncio.Event()}))
    slow = asyncio.create_task(bench.call("slow"))
    await bench.call(actor_id="2")
    leaving = asyncio.create_task(bench.hosted.release())
    await bench.rest()
    assert bench.hosted.is_active("1")
    assert not bench.hosted.is_active("2")
    bench.host.gates["slow"].set()
    await asyncio.gather(slow, leaving)
    assert not bench.hosted.is_active("1")


async def test_thousands_of_actors_leave_at_once() -> None:
    """Each is told of its end, but not more at one time than keep their connections."""

    class Counting(RecordingHost):
        under_way = highest = 0

        async def deactivate(self, kind: str, actor_id: str) -> None:
            self.under_way += 1
            self.highest = max(self.highest, self.under_way)
            await asyncio.sleep(0)
            self.under_way -= 1
            await super().deactivate(kind, actor_id)

    host = Counting()
    bench = Bench(host=host)
    for number in range(2_000):
        await bench.call(actor_id=str(number))
    await bench.hosted.release()
    assert sum(text.endswith(" ends") for text in host.done) == 2_000
    assert host.highest == FAREWELLS


@pytest.mark.row("I-AL")
async def test_a_release_that_is_given_up_leaves_nothing_behind() -> None:
    """Turns under way are cut, and no actor is told of its end any more."""

    class Hanging(RecordingHost):
        async def deactivate(self, kind: str, actor_id: str) -> None:
            await asyncio.get_running_loop().create_future()

    host = Hanging(gates={"slow": asyncio.Event()})
    bench = Bench(host=host)
    slow = asyncio.create_task(bench.call("slow"))
    await bench.call(actor_id="2")
    leaving = asyncio.create_task(bench.hosted.release())
    await bench.rest()
    leaving.cancel()
    await bench.rest()
    assert leaving.cancelled()
    with pytest.raises(TurnCut):
        await slow
    assert host.running == []
    assert bench.work.count == 0
    assert bench.hosted.leaving("2") is None


async def test_actors_of_an_app_that_went_are_told_in_one_line(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The first call that does not reach it is the last one."""

    class Gone(RecordingHost):
        asked = 0

        async def deactivate(self, kind: str, actor_id: str) -> None:
            self.asked += 1
            raise HostAway("gone")

    host = Gone()
    bench = Bench(host=host)
    for number in range(500):
        await bench.call(actor_id=str(number))
    with caplog.at_level(logging.INFO):
        await bench.hosted.release()
    assert caplog.messages == [
        "app 'a' cannot be reached: actors of type 'T' were not told of their end (500)"
    ]
    assert host.asked <= FAREWELLS


async def test_one_turn_at_a_time_among_hundreds() -> None:
    """Of 300 calls on three actors, never two of one actor are under way."""
    bench = Bench()
    bench.host.inside = {"m": lambda _: asyncio.ensure_future(asyncio.sleep(0))}
    await asyncio.gather(*(bench.call(actor_id=str(number % 3)) for number in range(300)))
    assert bench.host.most == 1
    assert bench.hosted.count == 3


async def test_a_long_wait_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """A call that has waited for five seconds is named in the log, and what it waits for."""
    bench = Bench(host=RecordingHost(gates={"slow": asyncio.Event()}))
    slow = asyncio.create_task(bench.call("slow"))
    await bench.rest()
    waiting = asyncio.create_task(bench.call("quick"))
    await bench.rest()
    with caplog.at_level(logging.WARNING):
        await bench.advance(5)
    assert "'quick' of actor 'T/1' has waited 5 s for the end of 'slow'" in caplog.text
    bench.host.gates["slow"].set()
    await asyncio.gather(slow, waiting)


async def test_a_short_wait_is_not_told(caplog: pytest.LogCaptureFixture) -> None:
    """Neither a call that had its turn in time nor one that took long itself is."""
    bench = Bench(host=RecordingHost(gates={"slow": asyncio.Event()}))
    quick, slow = asyncio.create_task(bench.call("m")), asyncio.create_task(bench.call("slow"))
    await bench.rest()
    with caplog.at_level(logging.WARNING):
        await bench.advance(6)
    assert caplog.text == ""
    bench.host.gates["slow"].set()
    await asyncio.gather(quick, slow)
