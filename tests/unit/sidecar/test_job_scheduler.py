"""The scheduler: which ticks are handed over, when, to whom, and what of them is kept."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from daprflow.protocol.jobs import Constant, FailurePolicy, JobRequest
from daprflow.sidecar.clock import VirtualClock
from daprflow.sidecar.components.base import ComponentError
from daprflow.sidecar.engine import Work
from daprflow.sidecar.engine_file import FILE, engine_file
from daprflow.sidecar.job_plan import Progress
from daprflow.sidecar.job_scheduler import RUNNING_LIMIT, JobExists, JobScheduler, Outcome
from daprflow.sidecar.job_store import MemoryJobStore, SqliteJobStore, StoredJob

START = 1_700_000_000.0
HOURLY = JobRequest(schedule="@every 1h")


class Taker:
    """Takes ticks and notes them; ``outcome`` is what comes of each."""

    def __init__(self, clock: VirtualClock, outcome: Outcome = Outcome.DONE) -> None:
        self.clock = clock
        self.outcome = outcome
        self.ticks: list[tuple[str, float]] = []
        self.hold: asyncio.Event | None = None

    async def __call__(self, job: StoredJob) -> Outcome:
        """Take one tick."""
        self.ticks.append((job.name, self.clock.now() - START))
        if self.hold is not None:
            await self.hold.wait()
        return self.outcome

    @property
    def times(self) -> list[float]:
        """When ticks came, in seconds from the start."""
        return [time for _, time in self.ticks]


class Bench:
    """A scheduler with its clock."""

    def __init__(self, folder: Path | None, clock: VirtualClock) -> None:
        self.clock = clock
        self.work = Work()
        store = MemoryJobStore() if folder is None else SqliteJobStore(engine_file(folder / FILE))
        self.scheduler = JobScheduler(clock, self.work, store)

    async def advance(self, seconds: float) -> None:
        """Let time pass, each tick being over before the next is due."""
        end = self.clock.now() + seconds
        while (due := self.clock.due()) is not None and due <= end:
            self.clock.move_to(due)
            await self.work.idle()
        self.clock.move_to(end)
        await self.work.idle()


@contextlib.asynccontextmanager
async def bench(
    folder: Path | None = None, clock: VirtualClock | None = None
) -> AsyncIterator[Bench]:
    """Open a scheduler, and close it."""
    made = Bench(folder, clock or VirtualClock(START))
    await made.scheduler.open()
    try:
        yield made
    finally:
        await made.scheduler.close()


async def test_ticks_go_to_their_own_app() -> None:
    """Two apps have jobs of one name without meeting."""
    async with bench() as it:
        shop, bank = Taker(it.clock), Taker(it.clock)
        it.scheduler.attach("shop", shop)
        it.scheduler.attach("bank", bank)
        await it.scheduler.schedule("shop", "a", JobRequest(due_time="5s"))
        await it.scheduler.schedule("bank", "a", JobRequest(due_time="7s"))
        await it.advance(10)
        assert (shop.times, bank.times) == ([5], [7])


@pytest.mark.row("I-JO")
async def test_a_tick_goes_to_one_of_several() -> None:
    """Replicas of an app take turns."""
    async with bench() as it:
        one, two = Taker(it.clock), Taker(it.clock)
        it.scheduler.attach("shop", one)
        it.scheduler.attach("shop", two)
        await it.scheduler.schedule("shop", "a", JobRequest(schedule="@every 1s", repeats=6))
        await it.advance(10)
        assert (len(one.ticks), len(two.ticks)) == (3, 3)


async def test_a_name_is_taken_until_the_job_is_over() -> None:
    """A job is not replaced unless that is asked for; when it is over its name is free."""
    async with bench() as it:
        taker = Taker(it.clock)
        it.scheduler.attach("shop", taker)
        await it.scheduler.schedule("shop", "a", JobRequest(due_time="10s"))
        with pytest.raises(JobExists):
            await it.scheduler.schedule("shop", "a", JobRequest(due_time="1s"))
        await it.scheduler.schedule("shop", "a", JobRequest(due_time="20s", overwrite=True))
        await it.advance(15)
        assert taker.ticks == []
        await it.advance(5)
        assert taker.times == [20]
        assert it.scheduler.find("shop", "a") is None
        await it.scheduler.schedule("shop", "a", JobRequest(due_time="1s"))


@pytest.mark.row("FS-12")
async def test_ticks_wait_for_the_app(tmp_path: Path) -> None:
    """While nobody takes an app's ticks they wait; of several missed ones one is made up for."""
    async with bench(tmp_path) as it:
        taker = Taker(it.clock)
        await it.scheduler.schedule("shop", "once", JobRequest(due_time="5s"))
        await it.scheduler.schedule("shop", "often", JobRequest(schedule="@every 10s"))
        await it.advance(95)
        assert taker.ticks == []
        it.scheduler.attach("shop", taker)
        await it.work.idle()
        assert sorted(taker.ticks) == [("often", 95), ("once", 95)]
        await it.advance(15)
        assert taker.times[2:] == [100, 110]
        await it.scheduler.detach("shop", taker)
        await it.advance(100)
        assert len(taker.ticks) == 4


@pytest.mark.row("FS-05", "I-JO")
async def test_missed_ticks_after_a_restart(tmp_path: Path) -> None:
    """Jobs outlive the process; of the ticks missed meanwhile one is made up for, in step."""
    async with bench(tmp_path) as it:
        taker = Taker(it.clock)
        it.scheduler.attach("shop", taker)
        await it.scheduler.schedule("shop", "often", JobRequest(schedule="@every 10s", repeats=5))
        await it.scheduler.schedule("shop", "once", JobRequest(due_time="1h"))
        await it.advance(25)
    async with bench(tmp_path, VirtualClock(START + 1003)) as it:
        taker = Taker(it.clock)
        it.scheduler.attach("shop", taker)
        await it.advance(0)
        assert taker.ticks == [("often", 1003)]
        await it.advance(100)
        assert taker.times == [1003, 1010, 1020]  # five in all, with the two before
        await it.advance(3600)
        assert taker.ticks[-1] == ("once", 3600)
    async with bench(tmp_path, VirtualClock(START + 9999)) as it:
        assert it.scheduler.find("shop", "once") is None


async def test_attempts_outlive_a_restart(tmp_path: Path) -> None:
    """How often a tick has failed is not forgotten."""
    policy = FailurePolicy(constant=Constant("10s", 2))
    async with bench(tmp_path) as it:
        taker = Taker(it.clock, Outcome.FAILED)
        it.scheduler.attach("shop", taker)
        await it.scheduler.schedule("shop", "a", JobRequest(due_time="0s", failure_policy=policy))
        await it.advance(15)
        assert taker.times == [0, 10]
    async with bench(tmp_path, VirtualClock(START + 500)) as it:
        taker = Taker(it.clock, Outcome.FAILED)
        it.scheduler.attach("shop", taker)
        await it.advance(100)
        assert taker.times == [500]
        assert it.scheduler.find("shop", "a") is None


async def test_a_retry_that_was_missed_makes_up_for_the_rest(tmp_path: Path) -> None:
    """A tick that failed before the end comes once after it, and not those that followed it."""
    async with bench(tmp_path) as it:
        taker = Taker(it.clock, Outcome.FAILED)
        it.scheduler.attach("shop", taker)
        await it.scheduler.schedule("shop", "often", JobRequest(schedule="@every 10s"))
        await it.advance(10)
        assert taker.times == [10]
    async with bench(tmp_path, VirtualClock(START + 1003)) as it:
        taker = Taker(it.clock)
        it.scheduler.attach("shop", taker)
        await it.advance(10)
        assert taker.times == [1003, 1010]


async def test_a_deleted_job_stays_deleted(tmp_path: Path) -> None:
    """After a restart there is no trace of it, and deleting it again is no error."""
    async with bench(tmp_path) as it:
        await it.scheduler.schedule("shop", "a", HOURLY)
        await it.scheduler.delete("shop", "a")
        await it.scheduler.delete("shop", "a")
    async with bench(tmp_path) as it:
        assert it.scheduler.find("shop", "a") is None


async def test_an_app_that_is_away_costs_no_attempt() -> None:
    """What does not reach the app is tried again soon, however few retries there are."""
    policy = FailurePolicy(constant=Constant("1s", 0))
    async with bench() as it:
        taker = Taker(it.clock, Outcome.AWAY)
        it.scheduler.attach("shop", taker)
        await it.scheduler.schedule("shop", "a", JobRequest(due_time="1s", failure_policy=policy))
        await it.advance(10)
        assert len(taker.ticks) > 10
        taker.outcome = Outcome.DONE
        await it.advance(1)
        assert it.scheduler.find("shop", "a") is None


async def test_a_tick_that_is_cut_by_the_end_comes_again(tmp_path: Path) -> None:
    """A call that is under way when the sidecar ends is made anew."""
    async with bench(tmp_path) as it:
        taker = Taker(it.clock)
        taker.hold = asyncio.Event()
        it.scheduler.attach("shop", taker)
        await it.scheduler.schedule("shop", "a", JobRequest(due_time="0s"))
        it.clock.move_to(START)
        await asyncio.sleep(0)
        assert taker.times == [0]
    async with bench(tmp_path, VirtualClock(START + 60)) as it:
        taker = Taker(it.clock)
        it.scheduler.attach("shop", taker)
        await it.advance(1)
        assert taker.times == [60]


async def test_what_was_replaced_has_no_say() -> None:
    """The outcome of a tick counts for nothing when its job was replaced meanwhile."""
    async with bench() as it:
        taker = Taker(it.clock)
        taker.hold = asyncio.Event()
        it.scheduler.attach("shop", taker)
        await it.scheduler.schedule("shop", "a", JobRequest(due_time="0s"))
        it.clock.move_to(START)
        await asyncio.sleep(0)
        await it.scheduler.schedule("shop", "a", JobRequest(due_time="5s", overwrite=True))
        taker.hold.set()
        await it.work.idle()
        assert it.scheduler.find("shop", "a") is not None
        await it.advance(5)
        assert taker.times == [0, 5]


async def test_a_job_never_overlaps_itself() -> None:
    """The next tick waits for the one before, and then is not missed."""
    async with bench() as it:
        taker = Taker(it.clock)
        taker.hold = asyncio.Event()
        it.scheduler.attach("shop", taker)
        await it.scheduler.schedule("shop", "a", JobRequest(schedule="@every 1s", repeats=3))
        for _ in range(5):
            it.clock.move_to(it.clock.now() + 1)
            await asyncio.sleep(0)
        assert taker.times == [1]
        taker.hold.set()
        for _ in range(3):
            await it.work.idle()
            it.clock.move_to(it.clock.now())
        await it.advance(0)
        assert taker.times == [1, 5, 5]


@pytest.mark.row("FS-25")
async def test_many_at_once() -> None:
    """Of many ticks due at once a bounded number is under way, and all are made."""
    async with bench() as it:
        taker = Taker(it.clock)
        taker.hold = asyncio.Event()
        it.scheduler.attach("shop", taker)
        for number in range(RUNNING_LIMIT + 50):
            await it.scheduler.schedule("shop", f"j{number}", JobRequest(due_time="1s"))
        it.clock.move_to(START + 1)
        await asyncio.sleep(0)
        assert (len(taker.ticks), it.work.count) == (RUNNING_LIMIT, RUNNING_LIMIT)
        taker.hold.set()
        await it.work.idle()
        assert len({name for name, _ in taker.ticks}) == RUNNING_LIMIT + 50


async def test_replacing_leaves_nothing_behind() -> None:
    """A job that is replaced again and again does not fill the queue of due times."""
    async with bench() as it:
        for number in range(5000):
            job = JobRequest(due_time=f"{number + 10}h", overwrite=True)
            await it.scheduler.schedule("shop", "a", job)
        assert len(it.scheduler._queue) < 200


async def test_a_deliverer_that_breaks_counts_as_a_failure(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An error on the way to the app is logged and retried by the policy."""

    async def broken(_: StoredJob) -> Outcome:
        raise OSError("no more files")

    async with bench() as it:
        it.scheduler.attach("shop", broken)
        await it.scheduler.schedule("shop", "a", JobRequest(due_time="0s"))
        with caplog.at_level(logging.ERROR, "daprflow"):
            await it.advance(10)
        assert it.scheduler.find("shop", "a") is None
    assert sum("no more files" in str(record.exc_info) for record in caplog.records) == 4


@pytest.mark.row("FS-12")
async def test_the_clock_set_back() -> None:
    """A timer that goes off early, as after the wall clock was set back, hands nothing over."""
    async with bench() as it:
        taker = Taker(it.clock)
        it.scheduler.attach("shop", taker)
        await it.scheduler.schedule("shop", "a", JobRequest(due_time="10s"))
        it.scheduler._come_due()
        await it.work.idle()
        assert taker.ticks == []
        await it.advance(10)
        assert taker.times == [10]


async def test_what_cannot_be_written_is_not_scheduled(tmp_path: Path) -> None:
    """A store that refuses leaves everything as it was, and the caller is told."""
    async with bench(tmp_path) as it:
        await it.scheduler.schedule("shop", "a", HOURLY)
        store = it.scheduler._store
        await store.close()
        with pytest.raises(ComponentError):
            await it.scheduler.schedule("shop", "b", HOURLY)
        job = JobRequest(due_time="1s", overwrite=True)
        with pytest.raises(ComponentError):
            await it.scheduler.schedule("shop", "a", job)
        with pytest.raises(ComponentError):
            await it.scheduler.delete("shop", "a")
        assert it.scheduler.find("shop", "b") is None
        kept = it.scheduler.find("shop", "a")
        assert kept is not None
        assert kept.job == HOURLY


@pytest.mark.row("FS-08")
async def test_a_damaged_file_is_refused_by_name(tmp_path: Path) -> None:
    """A file that is no database is named with the remedy, and never overwritten."""
    file = tmp_path / "engine.db"
    file.write_bytes(b"not a database, whatever it is" * 100)
    scheduler = JobScheduler(
        VirtualClock(START), Work(), SqliteJobStore(engine_file(tmp_path / FILE))
    )
    with pytest.raises(ComponentError, match=r"engine\.db.*restore the file"):
        await scheduler.open()
    assert file.read_bytes().startswith(b"not a database")
    await scheduler.close()


@pytest.mark.row("FS-10", "R-25")
async def test_a_stored_job_that_cannot_be_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A job that another version kept is told of and put by; the others run."""
    store = SqliteJobStore(engine_file(tmp_path / FILE))
    await store.open()
    job = JobRequest(schedule="@fortnightly")
    for number, stored in enumerate((job, JobRequest(due_time="0s")), 1):
        progress = Progress(START, 0, 0, START)
        await store.put(StoredJob(number, "shop", f"j{number}", stored, START, progress))
    await store.close()
    async with bench(tmp_path) as it:
        taker = Taker(it.clock)
        it.scheduler.attach("shop", taker)
        await it.advance(1)
        assert taker.ticks == [("j2", 0)]
    assert "job 'j1' of 'shop' is not run: schedule '@fortnightly' is not known" in caplog.text
