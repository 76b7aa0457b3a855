"""Timers: when they tick, how often, in which order, and what they refuse."""

import asyncio
from datetime import timedelta

import msgspec
import pytest

from daprflow.protocol.actors import TimerRequest
from daprflow.sidecar.actors.host import TimerDue
from daprflow.sidecar.actors.timers import TimerRefused, Timers
from daprflow.sidecar.clock import VirtualClock
from daprflow.sidecar.engine import Work
from daprflow.testing.settling import Settling

START = 1_700_000_000.0


class Bench:
    """Timers whose ticks are noted with their time."""

    def __init__(self) -> None:
        self.clock = VirtualClock(START)
        self.work = Work()
        self.ticks: list[tuple[str, float]] = []
        self.gates: dict[str, asyncio.Event] = {}
        self.failing = False
        self.timers = Timers(self.clock, self.work, self.fire)
        self.settling = Settling(self.clock, self.work)

    async def fire(self, kind: str, actor_id: str, timer: TimerDue) -> None:
        """Take a tick."""
        self.ticks.append((f"{kind}/{actor_id}/{timer.name}", self.clock.now() - START))
        if actor_id in self.gates:
            await self.gates[actor_id].wait()
        if self.failing:
            raise RuntimeError("no")

    def register(self, name: str = "t", actor_id: str = "1", **asked: str) -> None:
        """Register a timer."""
        request = msgspec.structs.replace(TimerRequest(), **asked)
        self.timers.register("T", actor_id, name, request)

    async def advance(self, seconds: float) -> None:
        """Let time pass."""
        await self.settling.advance(timedelta(seconds=seconds))

    @property
    def times(self) -> list[float]:
        """When ticks came, in seconds from the start."""
        return [round(at, 3) for _, at in self.ticks]


@pytest.mark.row("I-AT")
@pytest.mark.parametrize(
    ("asked", "times"),
    [
        ({}, [0]),
        ({"due_time": "2s"}, [2]),
        ({"period": "2s"}, [0, 2, 4, 6, 8, 10]),
        ({"due_time": "1s", "period": "R3/PT2S"}, [1, 3, 5]),
        ({"due_time": "1s", "period": "2s", "ttl": "4s"}, [1, 3]),
        ({"due_time": "2023-11-14T22:13:25Z"}, [5]),
        ({"due_time": "-1s"}, [0]),
        ({"due_time": "1s", "period": "R5"}, [1]),
    ],
)
async def test_when_ticks_come(asked: dict[str, str], times: list[float]) -> None:
    """The first at the due time, the next ones after each period, none after the end."""
    bench = Bench()
    bench.register(**asked)
    await bench.advance(10)
    assert bench.times == times


async def test_a_slow_tick_puts_the_next_off_but_not_the_schedule() -> None:
    """The tick after one that took long comes at once, and the following in step."""
    bench = Bench()
    bench.gates["1"] = asyncio.Event()
    bench.register(due_time="1s", period="2s")
    bench.clock.move_to(START + 4)
    for _ in range(10):
        await asyncio.sleep(0)
    bench.gates["1"].set()
    await bench.advance(4)
    assert bench.times == [4, 4, 5, 7]


@pytest.mark.row("I-AT", "R-11")
async def test_a_slow_actor_delays_no_other() -> None:
    """While a tick of one actor is under way, those of another come in time."""
    bench = Bench()
    bench.gates["slow"] = asyncio.Event()
    bench.register(actor_id="slow", due_time="1s", period="1s")
    bench.register(actor_id="fast", due_time="1s", period="1s")
    for second in range(1, 4):
        bench.clock.move_to(START + second)
        for _ in range(10):
            await asyncio.sleep(0)
    assert [name for name, _ in bench.ticks].count("T/fast/t") == 3
    assert [name for name, _ in bench.ticks].count("T/slow/t") == 1
    await bench.timers.close()
    assert bench.work.count == 0


@pytest.mark.row("I-AT")
async def test_failed_ticks_count(caplog: pytest.LogCaptureFixture) -> None:
    """A timer with three ticks ticks three times, though each of them fails."""
    bench = Bench()
    bench.failing = True
    bench.register(period="R3/PT1S")
    await bench.advance(10)
    assert bench.times == [0, 1, 2]
    assert "timer 't' of actor 'T/1': no" in caplog.text


async def test_the_same_name_replaces() -> None:
    """Of two timers of one name the later one ticks."""
    bench = Bench()
    bench.register(due_time="1s", period="1s")
    bench.register(due_time="3s")
    await bench.advance(10)
    assert bench.times == [3]


@pytest.mark.row("I-AT")
async def test_a_timer_that_is_removed_ticks_no_more() -> None:
    """Neither when it waits, nor when its tick waits behind another one; removing twice is fine."""
    bench = Bench()
    bench.gates["1"] = asyncio.Event()
    bench.register("first", due_time="1s")
    bench.register("second", due_time="1s")
    bench.register("third", due_time="2s")
    bench.clock.move_to(START + 1)
    for _ in range(10):
        await asyncio.sleep(0)
    for name in ("second", "third", "third"):
        bench.timers.remove("T", "1", name)
    bench.gates["1"].set()
    await bench.advance(5)
    assert [name for name, _ in bench.ticks] == ["T/1/first"]


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        ({"due_time": "x"}, "error parsing timer due time: unsupported time/duration format: x"),
        ({"period": "x"}, "invalid timer period: parse error: unsupported duration format: x"),
        ({"period": "R0/PT1S"}, "invalid timer period: has zero repetitions"),
        ({"ttl": "x"}, "error parsing timer TTL: unsupported time/duration format: x"),
        (
            {"due_time": "2s", "ttl": "2020-01-01T00:00:00Z"},
            "timer T||1||t has already expired: dueTime: 2s TTL: 2020-01-01T00:00:00Z",
        ),
    ],
)
async def test_refused_timers(asked: dict[str, str], problem: str) -> None:
    """A timer without a plan is refused in the real runtime's words; the old one stays."""
    bench = Bench()
    bench.register(due_time="1s")
    with pytest.raises(TimerRefused) as raised:
        bench.register(**asked)
    assert str(raised.value) == problem
    await bench.advance(2)
    assert bench.times == [1]


@pytest.mark.row("I-AT")
async def test_a_tick_carries_what_was_registered() -> None:
    """Name, callback, times and data come back as they were given."""
    clock, work = VirtualClock(START), Work()
    got: list[TimerDue] = []

    async def fire(_kind: str, _actor_id: str, timer: TimerDue) -> None:
        got.append(timer)

    timers = Timers(clock, work, fire)
    data = msgspec.Raw(b'{"a":1}')
    timers.register("T", "1", "t", TimerRequest("1s", "R1/PT1S", "", "cb", data))
    await Settling(clock, work).advance(timedelta(seconds=3))
    assert got == [TimerDue("t", "cb", "1s", "R1/PT1S", data)]
