"""Reminders: durable ticks of actors, offered until they are taken, tried again as they say."""

from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from daprflow.protocol.actors import ReminderRequest
from daprflow.protocol.jobs import Constant, Drop, FailurePolicy
from daprflow.sidecar.actors.host import HostAway, HostFailed
from daprflow.sidecar.actors.placement import NoHost
from daprflow.sidecar.actors.reminders import (
    REMINDERS,
    TABLE,
    ReminderExists,
    ReminderRefused,
    Reminders,
)
from daprflow.sidecar.actors.turns import TurnCut
from daprflow.sidecar.clock import VirtualClock
from daprflow.sidecar.engine import Work
from daprflow.sidecar.engine_file import FILE, engine_file
from daprflow.sidecar.job_scheduler import JobScheduler
from daprflow.sidecar.job_store import JobStore, MemoryJobStore, SqliteJobStore
from daprflow.testing.settling import Settling

START = 1_700_000_000.0
UNSET = msgspec.UNSET


class Bench:
    """Reminders whose ticks are noted with their time."""

    def __init__(self, folder: Path | None = None, start: float = START) -> None:
        self.clock = VirtualClock(start)
        self.work = Work()
        self.ticks: list[tuple[str, float]] = []
        self.failures: list[Exception] = []
        store: JobStore = MemoryJobStore()
        if folder is not None:
            store = SqliteJobStore(engine_file(folder / FILE), TABLE)
        scheduler = JobScheduler(self.clock, self.work, store, REMINDERS)
        self.reminders = Reminders(scheduler, self.remind)
        self.settling = Settling(self.clock, self.work)

    async def remind(
        self, kind: str, actor_id: str, name: str, data: msgspec.Raw | msgspec.UnsetType
    ) -> None:
        """Take a tick."""
        shown = "" if data is UNSET else f" {bytes(data).decode()}"
        self.ticks.append((f"{kind}/{actor_id}/{name}{shown}", self.clock.now() - START))
        if self.failures:
            raise self.failures.pop(0)

    async def register(self, asked: ReminderRequest, name: str = "r", actor_id: str = "1") -> None:
        """Register a reminder."""
        await self.reminders.register("T", actor_id, name, asked)

    async def advance(self, seconds: float) -> None:
        """Let time pass."""
        await self.settling.advance(timedelta(seconds=seconds))

    @property
    def times(self) -> list[float]:
        """When ticks came, in seconds from the start."""
        return [round(at, 3) for _, at in self.ticks]


@pytest.fixture
async def bench() -> Bench:
    """Reminders in memory whose type is hosted."""
    made = Bench()
    await made.reminders.open()
    made.reminders.hosted("T")
    return made


@pytest.mark.row("I-AR")
@pytest.mark.parametrize(
    ("request_", "times"),
    [
        (ReminderRequest("2s"), [2]),
        (ReminderRequest("PT2S", "3s"), [2, 5, 8]),
        (ReminderRequest("", "3s"), [3, 6, 9]),
        (ReminderRequest("1s", "R2/PT2S"), [1, 3]),
        (ReminderRequest("0s", "1s", "2500ms"), [0, 1, 2]),
    ],
)
async def test_when_ticks_come(bench: Bench, request_: ReminderRequest, times: list[float]) -> None:
    """The first at the due time, else after one period; repeats and a ttl end them."""
    await bench.reminders.register("T", "1", "r", request_)
    await bench.advance(10)
    assert bench.times == times
    if len(times) < 4 and not request_.period.endswith("3s"):
        assert bench.reminders.find("T", "1", "r") is None


@pytest.mark.row("I-AR", "R-10")
async def test_ids_and_names_with_bars_are_told_apart(bench: Bench) -> None:
    """An id or a name with the separator of keys is one of its own."""
    await bench.register(ReminderRequest("1s"), "c", "a||b")
    await bench.register(ReminderRequest("1s"), "b||c", "a")
    await bench.advance(1)
    assert {text for text, _ in bench.ticks} == {"T/a||b/c", "T/a/b||c"}


@pytest.mark.row("I-AR")
async def test_the_same_name_replaces_or_is_refused(bench: Bench) -> None:
    """Without a word a reminder takes the place of another; with overwrite false it does not."""
    await bench.register(ReminderRequest("1s"))
    await bench.register(ReminderRequest("3s"))
    request = ReminderRequest("5s", overwrite=False)
    with pytest.raises(ReminderExists):
        await bench.reminders.register("T", "1", "r", request)
    await bench.advance(10)
    assert bench.times == [3]


@pytest.mark.parametrize(
    ("request_", "problem"),
    [
        (ReminderRequest("zzz"), "job failed validation: due time format not recognized"),
        (ReminderRequest(), "either a due time or a schedule"),
        (ReminderRequest("1s", "P1D"), "unsupported period format: P1D"),
        (ReminderRequest("1s", "x"), "unsupported period format: x"),
        (ReminderRequest("1s", "", "5s"), "must have a schedule to have a ttl"),
    ],
)
async def test_refused_reminders(bench: Bench, request_: ReminderRequest, problem: str) -> None:
    """A reminder without a plan is refused in the real runtime's words."""
    with pytest.raises(ReminderRefused, match=problem):
        await bench.reminders.register("T", "1", "r", request_)


@pytest.mark.row("I-AR")
@pytest.mark.parametrize(
    ("policy", "times"),
    [
        (None, [1, 2, 3, 4]),
        (FailurePolicy(drop=Drop()), [1]),
        (FailurePolicy(constant=Constant("3s", 1)), [1, 4]),
    ],
)
async def test_failed_ticks_are_tried_again(
    bench: Bench, policy: FailurePolicy | None, times: list[float]
) -> None:
    """Three times a second apart where nothing else was said."""
    bench.failures = [HostFailed("no")] * 9
    await bench.reminders.register("T", "1", "r", ReminderRequest("1s", failure_policy=policy))
    await bench.advance(20)
    assert bench.times == times
    assert bench.reminders.find("T", "1", "r") is None


@pytest.mark.row("I-AR")
@pytest.mark.parametrize("error", [NoHost("T", "1"), HostAway("gone"), TurnCut(leaving=True)])
async def test_a_tick_that_was_not_taken_is_no_attempt(bench: Bench, error: Exception) -> None:
    """What did not reach an actor, or was cut since its host left, is offered again and again."""
    bench.failures = [error] * 10
    await bench.register(ReminderRequest("1s", failure_policy=FailurePolicy(drop=Drop())))
    await bench.advance(20)
    assert len(bench.ticks) == 11
    assert bench.reminders.find("T", "1", "r") is None


async def test_a_tick_that_was_cut_for_its_length_is_one(bench: Bench) -> None:
    """A turn that took longer than the actor's idle timeout is a failed attempt."""
    bench.failures = [TurnCut(leaving=False)] * 10
    await bench.register(ReminderRequest("1s"))
    await bench.advance(20)
    assert len(bench.ticks) == 4


@pytest.mark.row("I-AR")
async def test_ticks_wait_for_a_host_and_come_once() -> None:
    """Of those missed while nobody hosted the type one is made up for; then all come in time."""
    bench = Bench()
    await bench.reminders.open()
    await bench.register(ReminderRequest("1s", "2s"))
    await bench.advance(7.5)
    assert bench.ticks == []
    bench.reminders.hosted("T")
    await bench.advance(4)
    assert bench.times == [7.5, 9, 11]
    await bench.reminders.gone("T")
    await bench.advance(5)
    assert len(bench.ticks) == 3


@pytest.mark.row("I-AR")
async def test_what_is_told(bench: Bench) -> None:
    """A reminder is told as it was asked for; a ttl where it is a date."""
    data = msgspec.Raw(b'{"a":1}')
    asked = ReminderRequest("1h", "90s", "2040-01-01T00:00:00Z", data)
    await bench.reminders.register("T", "1", "r", asked)
    await bench.register(ReminderRequest("1h", "1m", "2h"), "s", "2")
    found = bench.reminders.find("T", "1", "r")
    assert found is not None
    assert (found.due_time, found.period, found.ttl) == ("1h", "@every 1m30s", asked.ttl)
    assert bytes(found.data) == bytes(data) if found.data is not UNSET else False
    listed = bench.reminders.of("T")
    assert [(each.name, each.description.actor_id) for each in listed] == [("r", "1"), ("s", "2")]
    assert [each.description.ttl for each in bench.reminders.of("T", "2")] == [""]


@pytest.mark.row("I-AR")
async def test_all_of_a_type_or_of_an_actor_are_forgotten(bench: Bench) -> None:
    """Those of other actors, or other types, stay."""
    for actor_id in ("1", "2"):
        await bench.register(ReminderRequest("1s"), actor_id=actor_id)
    await bench.reminders.register("U", "1", "r", ReminderRequest("1s"))
    await bench.reminders.remove_all("T", "1")
    assert [each.description.actor_id for each in bench.reminders.of("T")] == ["2"]
    await bench.reminders.remove_all("T")
    assert list(bench.reminders.of("T")) == []
    assert len(bench.reminders.of("U")) == 1


@pytest.mark.row("FS-05", "I-AR", "R-27")
async def test_reminders_survive_a_restart(tmp_path: Path) -> None:
    """Missed ticks come once, counts go on, deleted ones stay so, and none comes early."""
    first = Bench(tmp_path)
    await first.reminders.open()
    first.reminders.hosted("T")
    await first.register(ReminderRequest("1s", "R4/PT2S"), "some")
    await first.register(ReminderRequest("1h"), "later", "a\u2028||b")
    await first.register(ReminderRequest("1h"), "gone")
    await first.reminders.remove("T", "1", "gone")
    await first.advance(1.5)
    await first.reminders.close()
    second = Bench(tmp_path, START + 6)
    await second.reminders.open()
    second.reminders.hosted("T")
    await second.advance(20)
    assert first.times == [1]
    assert second.times == [6, 7, 9]
    await second.advance(3600)
    assert second.ticks[-1] == ("T/a\u2028||b/later", 3600.0)
    assert list(second.reminders.of("T")) == []
    await second.reminders.close()
