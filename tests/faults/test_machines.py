"""Random sequences of operations on each block, held to what a few lines of a model say."""

import asyncio
import contextlib
import dataclasses
import shutil
import tempfile
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import Any, ClassVar, TypeVar, cast

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from daprflow.protocol.jobs import JobRequest
from daprflow.protocol.locks import Unlocked
from daprflow.sidecar.clock import VirtualClock
from daprflow.sidecar.components.base import (
    Component,
    ComponentError,
    ConfigurationValue,
    EditableConfiguration,
    EtagConflict,
    LockStore,
    Message,
    Nack,
    StateStore,
    StateWrite,
    StoredValue,
)
from daprflow.sidecar.components.pubsub_durable import DurablePubSub
from daprflow.sidecar.components.registry import COMPONENTS
from daprflow.sidecar.engine import Work
from daprflow.sidecar.engine_file import FILE, engine_file
from daprflow.sidecar.job_scheduler import JobExists, JobScheduler, Outcome
from daprflow.sidecar.job_store import MemoryJobStore, SqliteJobStore, StoredJob
from tests.helpers.components import context

T = TypeVar("T")

START = 1_700_000_000.0
KEYS = st.sampled_from(["a", "b", "c"])
LIMITS = settings(
    max_examples=8,
    stateful_step_count=20,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)


class Machine(RuleBasedStateMachine):
    """A machine with a loop, a clock and a folder of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.clock = VirtualClock(START)
        self.folder = Path(tempfile.mkdtemp(prefix="machine-"))

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        """Run something to its end."""
        return self.loop.run_until_complete(asyncio.wait_for(work, 30))

    def teardown(self) -> None:
        """Leave nothing behind."""
        self.do(self.shut())
        self.loop.close()
        shutil.rmtree(self.folder)

    async def shut(self) -> None:
        """Close what is under test."""


class OfComponent(Machine):
    """A machine over one component."""

    kind: ClassVar[str]
    metadata: ClassVar[Mapping[str, str]] = {}
    durable: ClassVar[bool] = False

    def __init__(self) -> None:
        super().__init__()
        self.component = self.made()
        self.do(self.component.open())

    def made(self) -> Component:
        """Make the component anew."""
        made_from = context(self.folder, self.clock, self.kind, **self.metadata)
        if self.durable:
            made_from = dataclasses.replace(made_from, data_dir=self.folder)
        return COMPONENTS[self.kind](made_from)

    @precondition(lambda self: self.durable and self.quiet())
    @rule()
    def start_anew(self) -> None:
        """End the sidecar and start it again."""
        self.do(self.component.close())
        self.component = self.made()
        self.do(self.component.open())

    def quiet(self) -> bool:
        """Whether nobody stands on what a new start ends."""
        return True

    async def shut(self) -> None:
        """Close the component."""
        await self.component.close()


# ---- state --------------------------------------------------------------------------------------


class StateMachine(OfComponent):
    """A store of values with ETags and times to live."""

    def __init__(self) -> None:
        super().__init__()
        self.model: dict[str, tuple[bytes, float | None]] = {}
        self.old_etags: dict[str, str] = {}

    @property
    def store(self) -> StateStore:
        """The component as what it is."""
        return cast("StateStore", self.component)

    def now(self, key: str) -> bytes | None:
        """Return what the model has."""
        data, expires = self.model.get(key, (None, None))
        return None if expires is not None and expires <= self.clock.now() else data

    def etag(self, key: str) -> str | None:
        """Return the ETag that counts."""
        found = self.do(self.store.get(key))
        return found.etag if found else None

    @rule(key=KEYS, data=st.binary(max_size=8), ttl=st.sampled_from([None, None, 2, 5]))
    def put(self, key: str, data: bytes, ttl: int | None) -> None:
        """Write without conditions."""
        self.do(self.store.write(StateWrite(key, data, ttl=ttl)))
        self.model[key] = (data, None if ttl is None else self.clock.now() + ttl)

    @rule(key=KEYS, data=st.binary(max_size=8))
    def put_on_the_right_etag(self, key: str, data: bytes) -> None:
        """Write over what was read; the ETag is no good afterwards."""
        etag = self.etag(key)
        if etag is None:
            return
        self.do(self.store.write(StateWrite(key, data, etag)))
        self.model[key] = (data, None)
        self.old_etags[key] = etag

    @precondition(lambda self: self.old_etags)
    @rule(data=st.binary(max_size=8), key=KEYS)
    def put_on_an_old_etag(self, key: str, data: bytes) -> None:
        """Write over what is not there any more."""
        old = self.old_etags.get(key)
        if old is None or old == self.etag(key):
            return
        with contextlib.suppress(EtagConflict):
            self.do(self.store.write(StateWrite(key, data, old)))
            raise AssertionError(f"an old ETag of '{key}' was taken")

    @rule(key=KEYS, data=st.binary(max_size=8))
    def put_first(self, key: str, data: bytes) -> None:
        """Write only where there is nothing."""
        expected = self.now(key) is None
        try:
            self.do(self.store.write(StateWrite(key, data, first_write=True)))
            assert expected
            self.model[key] = (data, None)
        except EtagConflict:
            assert not expected

    @rule(key=KEYS)
    def delete(self, key: str) -> None:
        """Delete, whether it is there or not."""
        self.do(self.store.write(StateWrite(key, None)))
        self.model.pop(key, None)

    @rule(changes=st.dictionaries(KEYS, st.none() | st.binary(max_size=8), min_size=1))
    def transact(self, changes: dict[str, bytes | None]) -> None:
        """Do several writes as one."""
        self.do(self.store.transact([StateWrite(key, data) for key, data in changes.items()]))
        for key, data in changes.items():
            self.model.pop(key, None)
            if data is not None:
                self.model[key] = (data, None)

    @rule(changes=st.dictionaries(KEYS, st.binary(max_size=8), min_size=1), bad=KEYS)
    def transact_in_vain(self, changes: dict[str, bytes], bad: str) -> None:
        """Have a transaction fail at its end."""
        writes = [StateWrite(key, data) for key, data in changes.items() if key != bad]
        try:
            self.do(self.store.transact([*writes, StateWrite(bad, b"x", "999999")]))
        except ComponentError:
            return
        raise AssertionError("a transaction with a wrong ETag was done")

    @rule(seconds=st.sampled_from([1, 2, 4]))
    def wait(self, seconds: int) -> None:
        """Let time pass."""
        self.clock.move_to(self.clock.now() + seconds)

    @invariant()
    def holds_what_was_written(self) -> None:
        """Each key has what the model says."""
        found = self.do(self.store.get_many(["a", "b", "c"]))
        seen = [value.data if isinstance(value, StoredValue) else None for value in found]
        assert seen == [self.now(key) for key in ("a", "b", "c")]


class OfMemory(StateMachine):
    kind = "state.in-memory"

    # The real store in memory does not undo what a transaction did before it failed.
    transact_in_vain = None  # type: ignore[assignment]  # a rule less


class OfSqlite(StateMachine):
    kind = "state.sqlite"
    metadata: ClassVar[Mapping[str, str]] = {"connectionString": "state.db"}
    durable = True


TestStateInMemory = OfMemory.TestCase
TestStateInSqlite = OfSqlite.TestCase


# ---- locks --------------------------------------------------------------------------------------


class LockMachine(OfComponent):
    """Locks that end by themselves."""

    kind = "lock.daprflow"

    def __init__(self) -> None:
        super().__init__()
        self.held: dict[str, tuple[str, float]] = {}

    @property
    def store(self) -> LockStore:
        """The component as what it is."""
        return cast("LockStore", self.component)

    def owner(self, name: str) -> str | None:
        """Return who has a lock."""
        owner, until = self.held.get(name, (None, 0.0))
        return owner if until > self.clock.now() else None

    @rule(name=KEYS, who=st.sampled_from(["ann", "bob"]), seconds=st.integers(1, 5))
    def take(self, name: str, who: str, seconds: int) -> None:
        """Try to take a lock."""
        free = self.owner(name) is None
        assert self.do(self.store.try_lock(name, who, seconds)) is free
        if free:
            self.held[name] = (who, self.clock.now() + seconds)

    @rule(name=KEYS, who=st.sampled_from(["ann", "bob"]))
    def give_back(self, name: str, who: str) -> None:
        """Give a lock back, be it one's own or not."""
        owner = self.owner(name)
        expected = (
            Unlocked.LOCK_DOES_NOT_EXIST
            if owner is None
            else Unlocked.SUCCESS
            if owner == who
            else Unlocked.LOCK_BELONGS_TO_OTHERS
        )
        assert self.do(self.store.unlock(name, who)) is expected
        if owner == who:
            del self.held[name]

    @rule(seconds=st.sampled_from([0.5, 1, 3]))
    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.move_to(self.clock.now() + seconds)


class DurableLocks(LockMachine):
    durable = True


TestLocksInMemory = LockMachine.TestCase
TestLocksOnDisk = DurableLocks.TestCase


# ---- configuration ------------------------------------------------------------------------------


class ConfigurationMachine(OfComponent):
    """Items, and those who want to hear of them."""

    kind = "configuration.daprflow"

    def __init__(self) -> None:
        super().__init__()
        self.items: dict[str, str] = {}
        self.told: list[tuple[str, str]] = []
        self.expected: list[tuple[str, str]] = []
        self.watched: tuple[str, ...] | None = None
        self.stop: Any = None

    @property
    def store(self) -> EditableConfiguration:
        """The component as what it is."""
        return cast("EditableConfiguration", self.component)

    def changed(self, items: Mapping[str, ConfigurationValue]) -> "asyncio.Future[None]":
        """Hear of a change."""
        self.told += [(key, item.value) for key, item in items.items()]
        done = self.loop.create_future()
        done.set_result(None)
        return done

    def happened(self, key: str, value: str) -> None:
        """Note what is to be heard of."""
        if self.watched is not None and (not self.watched or key in self.watched):
            self.expected.append((key, value))

    @rule(key=KEYS, value=st.text(min_size=1, max_size=5))
    def put(self, key: str, value: str) -> None:
        """Set an item."""
        self.do(self.store.put(key, value, ""))
        self.items[key] = value
        self.happened(key, value)

    @rule(key=KEYS)
    def remove(self, key: str) -> None:
        """Remove an item; those that are not there are no change."""
        assert self.do(self.store.remove(key)) is (key in self.items)
        if self.items.pop(key, None) is not None:
            self.happened(key, "")

    @precondition(lambda self: self.watched is None)
    @rule(keys=st.lists(KEYS, unique=True, max_size=2))
    def subscribe(self, keys: list[str]) -> None:
        """Want to hear of some items, or of all."""
        self.stop = self.do(self.store.subscribe(keys, {}, self.changed))
        self.watched = tuple(keys)

    @precondition(lambda self: self.watched is not None)
    @rule()
    def unsubscribe(self) -> None:
        """Want to hear no more."""
        self.do(self.stop())
        self.watched = None

    def quiet(self) -> bool:
        """Whether nobody listens."""
        return self.watched is None

    @invariant()
    def has_what_was_set(self) -> None:
        """Every item is there, and every change was told once and in order."""
        found = self.do(self.store.get((), {}))
        assert {key: item.value for key, item in found.items()} == self.items
        self.do(asyncio.sleep(0))
        assert self.told == self.expected


class DurableConfiguration(ConfigurationMachine):
    durable = True


TestConfigurationInMemory = ConfigurationMachine.TestCase
TestConfigurationOnDisk = DurableConfiguration.TestCase


# ---- jobs ---------------------------------------------------------------------------------------


class JobMachine(Machine):
    """Jobs of one app, whose ticks are counted."""

    durable: ClassVar[bool] = False

    def __init__(self) -> None:
        super().__init__()
        self.work = Work()
        self.ticks: list[tuple[str, float]] = []
        self.expected: list[tuple[str, float]] = []
        self.jobs: dict[str, list[float]] = {}
        """When a job's ticks are due that did not come yet."""
        self.memory = MemoryJobStore()
        self.do(self.begin())

    async def begin(self) -> None:
        """Start a scheduler, and the app that takes its ticks."""
        store = SqliteJobStore(engine_file(self.folder / FILE)) if self.durable else self.memory
        self.scheduler = JobScheduler(self.clock, self.work, store)
        await self.scheduler.open()
        self.scheduler.attach("app", self.take)

    async def take(self, job: StoredJob) -> Outcome:
        """Take a tick."""
        self.ticks.append((job.name, self.clock.now() - START))
        return Outcome.DONE

    @rule(name=KEYS, seconds=st.integers(1, 9))
    def once(self, name: str, seconds: int) -> None:
        """Schedule one tick."""
        self.place(name, JobRequest(due_time=f"{seconds}s"), seconds, 1)

    @rule(name=KEYS, seconds=st.integers(1, 5), repeats=st.integers(1, 4))
    def often(self, name: str, seconds: int, repeats: int) -> None:
        """Schedule several ticks."""
        job = JobRequest(schedule=f"@every {seconds}s", repeats=repeats)
        self.place(name, job, seconds, repeats)

    def place(self, name: str, job: JobRequest, seconds: int, repeats: int) -> None:
        """Schedule a job; a name that is taken is refused."""
        try:
            self.do(self.scheduler.schedule("app", name, job))
        except JobExists:
            assert name in self.jobs
            return
        assert name not in self.jobs
        now = self.clock.now() - START
        self.jobs[name] = [now + seconds * number for number in range(1, repeats + 1)]

    @rule(name=KEYS)
    def delete(self, name: str) -> None:
        """Delete a job, be it there or not."""
        self.do(self.scheduler.delete("app", name))
        self.jobs.pop(name, None)

    @rule(seconds=st.integers(1, 12))
    def wait(self, seconds: int) -> None:
        """Let time pass, each tick being over before the next is due."""
        end = self.clock.now() + seconds
        self.do(self.pass_until(end))
        for name, due in list(self.jobs.items()):
            self.expected += [(name, at) for at in due if at <= end - START]
            self.jobs[name] = [at for at in due if at > end - START]
            if not self.jobs[name]:
                del self.jobs[name]

    async def pass_until(self, end: float) -> None:
        """Move the clock from tick to tick."""
        while (due := self.clock.due()) is not None and due <= end:
            self.clock.move_to(due)
            await self.work.idle()
        self.clock.move_to(end)
        await self.work.idle()

    @precondition(lambda self: self.durable)
    @rule()
    def start_anew(self) -> None:
        """End the sidecar and start it again."""
        self.do(self.scheduler.close())
        self.do(self.begin())

    @invariant()
    def each_tick_came_in_time(self) -> None:
        """What was due came, once, at its moment, and nothing else did."""
        assert sorted(self.ticks) == sorted(self.expected)
        assert {job.name for job in self.scheduler.of_app("app")} == self.jobs.keys()

    async def shut(self) -> None:
        """Close the scheduler."""
        await self.scheduler.close()


class DurableJobs(JobMachine):
    durable = True


TestJobsInMemory = JobMachine.TestCase
TestJobsOnDisk = DurableJobs.TestCase


# ---- queues -------------------------------------------------------------------------------------


class QueueMachine(Machine):
    """A durable broker with one group, whose app fails, is away, and comes back."""

    def __init__(self) -> None:
        super().__init__()
        self.published: list[int] = []
        self.handled: list[int] = []
        self.failing = False
        self.stop: Any = None
        self.do(self.begin())

    async def begin(self) -> None:
        """Open the broker, without a subscriber."""
        made_from = context(self.folder, self.clock, "pubsub.daprflow")
        self.broker = DurablePubSub(dataclasses.replace(made_from, data_dir=self.folder))
        await self.broker.open()
        self.stop = None

    async def take(self, message: Message) -> None:
        """Handle an event, or fail."""
        if self.failing:
            raise Nack("not now")
        self.handled.append(int(message.data))

    @initialize()
    def somebody_subscribes(self) -> None:
        """Make the group known."""
        self.come()

    @precondition(lambda self: self.stop is None)
    @rule()
    def come(self) -> None:
        """Subscribe."""

        def receive(message: Message) -> Any:
            return self.loop.create_task(self.take(message))

        async def subscribe() -> Any:
            return await self.broker.subscribe("t", "app", {}, receive)

        self.stop = self.do(subscribe())

    @precondition(lambda self: self.stop is not None)
    @rule()
    def leave(self) -> None:
        """Unsubscribe."""
        self.do(self.stop())
        self.stop = None

    @rule()
    def publish(self) -> None:
        """Publish one event."""
        self.published.append(len(self.published))
        self.do(self.broker.publish(Message("t", b"%d" % self.published[-1])))

    @rule(failing=st.booleans())
    def change(self, *, failing: bool) -> None:
        """Begin or cease to fail."""
        self.failing = failing

    @rule(seconds=st.sampled_from([0.5, 5, 60]))
    def wait(self, seconds: float) -> None:
        """Let time pass, and what is due happen."""
        self.do(self.settle(seconds))

    @rule()
    def start_anew(self) -> None:
        """End the sidecar and start it again."""
        self.do(self.broker.close())
        self.do(self.begin())

    async def settle(self, seconds: float) -> None:
        """Move the clock from one due moment to the next."""
        end = self.clock.now() + seconds
        for _ in range(200):
            for _ in range(20):
                await asyncio.sleep(0)
            due = self.clock.due()
            if due is None or due > end:
                break
            self.clock.move_to(due)
        self.clock.move_to(end)

    @invariant()
    def nothing_is_handled_twice(self) -> None:
        """What was handled is not delivered again, and was published."""
        assert len(set(self.handled)) == len(self.handled)
        assert set(self.handled) <= set(self.published)

    def teardown(self) -> None:
        """See that everything that was accepted is handled in the end."""
        self.failing = False
        if self.stop is None:
            self.come()
        for _ in range(50):
            self.do(self.settle(60))
            if len(self.handled) == len(self.published):
                break
        left = sorted(set(self.published) - set(self.handled))
        super().teardown()
        assert left == []

    async def shut(self) -> None:
        """Close the broker."""
        await self.broker.close()


TestQueue = QueueMachine.TestCase

CASES = (
    TestStateInMemory,
    TestStateInSqlite,
    TestLocksInMemory,
    TestLocksOnDisk,
    TestConfigurationInMemory,
    TestConfigurationOnDisk,
    TestJobsInMemory,
    TestJobsOnDisk,
    TestQueue,
)
for _case in CASES:
    _case.settings = LIMITS
del _case  # else it is collected as well
