"""Workflows in a state store of the user's: what is there, and what happens where it differs."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from daprflow.protocol import workflow_messages as wf
from daprflow.sidecar.clock import VirtualClock
from daprflow.sidecar.components.base import ComponentError, StateWrite
from daprflow.sidecar.components.state_in_memory import InMemoryState
from daprflow.sidecar.engine import Engine
from daprflow.sidecar.workflows.framing import frame_encoded, unframe_encoded
from daprflow.sidecar.workflows.problems import WorkflowProblem
from daprflow.sidecar.workflows.state_layout import Extent, decode_extent
from tests.helpers.components import context
from tests.helpers.faulty_store import BEFORE, KILLED_AFTER, KILLED_BEFORE, FaultyStore
from tests.helpers.scripted_worker import Stage, child, end, open_stage, task, timer
from tests.helpers.workflow_rows import START, start, status

PREFIX = "app1||dapr.internal.default.app1.workflow||i1||"


class Bench:
    """A state store with faults, in the engine of the moment."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.clock = VirtualClock(START)
        self.inner = InMemoryState(context(root, self.clock, "state.in-memory"))
        self.next_fault = ""
        self.failing = ""
        self.store = FaultyStore(self.inner, self.fault)
        self._engines: list[Engine] = []

    def fault(self, call: str) -> str:
        """Have the next transaction fail as the test says."""
        fault = ""
        if call == "transact":
            fault, self.next_fault = self.next_fault, ""
        return fault or (BEFORE if call == self.failing else "")

    async def open(self) -> Stage:
        """Open an engine on the folder."""
        return self._opened(await open_stage(self.root, self.clock, self.store))

    async def beside(self, app_id: str) -> Stage:
        """Open an engine whose first app has its workflows in the tables, and ``app_id`` here."""
        stage = self._opened(await open_stage(self.root, self.clock))
        stage.store = self.store
        await stage.come(app_id)
        return stage

    def _opened(self, stage: Stage) -> Stage:
        self._engines.append(stage.engine)
        return stage

    async def close(self) -> None:
        """Close every engine, whatever became of the test."""
        for engine in self._engines:
            await engine.close()

    async def killed(self, stage: Stage) -> Stage:
        """Go on in another process, as the first one was killed."""
        self.store.cut = True
        left = self.root / "left"
        shutil.copytree(stage.engine.data_dir or self.root, left)
        await stage.engine.close()
        self.root = left
        self.store = FaultyStore(self.inner, self.fault)
        return await self.open()

    def kept(self) -> set[str]:
        """Return what the store has of the instance ``i1``."""
        return {key.removeprefix(PREFIX) for key, _ in self.inner.items() if key.startswith(PREFIX)}

    async def value(self, key: str) -> bytes:
        """Return one of its values."""
        stored = await self.inner.get(PREFIX + key)
        assert stored is not None
        return stored.data


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    """A state store in memory."""
    bench = Bench(tmp_path)
    try:
        yield bench
    finally:
        await bench.close()


# ---- what is there ------------------------------------------------------------------------------


async def test_keys_and_values_are_the_real_ones(bench: Bench) -> None:
    """One key for each event, numbered from zero, and metadata with the generation from one."""
    stage = await bench.open()
    worker = stage.worker()
    await start(stage)
    assert bench.kept() == {"inbox-000000", "metadata"}
    assert decode_extent(await bench.value("metadata")) == Extent(1, 0, 0)
    waiting = wf.HistoryEvent.FromString(await bench.value("inbox-000000"))
    assert waiting.executionStarted.name == "w"
    await worker.answer(await worker.turn(), task(1), task(2))
    history = {f"history-{number:06d}" for number in range(4)}
    assert bench.kept() == {*history, "customStatus", "metadata"}
    kinds = [
        wf.HistoryEvent.FromString(await bench.value(key)).WhichOneof("eventType")
        for key in sorted(history)
    ]
    assert kinds == ["workflowStarted", "executionStarted", "taskScheduled", "taskScheduled"]
    raw = wf.BackendWorkflowStateMetadata.FromString(await bench.value("metadata"))
    assert (raw.inboxLength, raw.historyLength, raw.generation) == (0, 4, 1)


@pytest.mark.row("S-36")
async def test_what_is_purged_leaves_no_key(bench: Bench) -> None:
    """A purge takes everything away, whatever there was."""
    stage = await bench.open()
    worker = stage.worker()
    await start(stage)
    await worker.answer(await worker.turn(), timer(1, START + 60))
    await stage.workflows().raise_event("i1", "go", None)
    assert await stage.workflows().purge("i1", recursive=True, force=True) == 1
    assert bench.kept() == set()
    assert await status(stage) == ""
    assert (await worker_page(stage)) == []


async def worker_page(stage: Stage) -> list[str]:
    """Return the ids of all instances."""
    return list(stage.workflows().ids("", 0).instance_ids)


async def test_pages_of_instances(bench: Bench) -> None:
    """Instances are listed in the order of their making, page by page."""
    stage = await bench.open()
    stage.worker()
    for number in range(3):
        await start(stage, f"i{number}")
    first = stage.workflows().ids("", 2)
    assert list(first.instance_ids) == ["i0", "i1"]
    assert list(stage.workflows().ids(first.token or "", 2).instance_ids) == ["i2"]


def test_frames() -> None:
    """Events are framed one by one as they are together, whatever their length."""
    events = [wf.HistoryEvent(eventId=number) for number in range(3)]
    events[1].eventRaised.name = "x" * 300
    events[2].eventRaised.name = "y" * 70_000
    whole = wf.WorkflowRequest(pastEvents=events).SerializeToString()
    encoded = [event.SerializeToString() for event in events]
    assert b"".join(map(frame_encoded, encoded)) == whole
    assert list(unframe_encoded(whole)) == encoded


# ---- between two writes -------------------------------------------------------------------------


async def test_killed_after_a_start_was_saved(bench: Bench) -> None:
    """An instance that only the store knows begins in the next process."""
    stage = await bench.open()
    stage.worker()
    bench.next_fault = KILLED_AFTER
    with pytest.raises(ComponentError):
        await start(stage)
    stage = await bench.killed(stage)
    assert (await stage.worker().turn()).workflowRequest.instanceId == "i1"
    assert await worker_page(stage) == ["i1"]


async def test_killed_after_an_event_was_saved(bench: Bench) -> None:
    """An event that arrived while nobody was to be woken is taken in the next process."""
    stage = await bench.open()
    worker = stage.worker()
    await start(stage)
    await worker.answer(await worker.turn())  # it waits for an event, and nothing else
    bench.next_fault = KILLED_AFTER
    with pytest.raises(ComponentError):
        await stage.workflows().raise_event("i1", "go", None)
    stage = await bench.killed(stage)
    turn = await stage.worker().turn()
    assert turn.workflowRequest.newEvents[1].eventRaised.name == "go"


async def test_killed_after_a_purge_was_saved(bench: Bench) -> None:
    """What the store does not have any more is not there in the next process."""
    stage = await bench.open()
    worker = stage.worker()
    await start(stage)
    await worker.answer(await worker.turn(), end(1))
    bench.next_fault = KILLED_AFTER
    with pytest.raises(ComponentError):
        await stage.workflows().purge("i1", recursive=True, force=False)
    stage = await bench.killed(stage)
    assert await worker_page(stage) == []
    assert await status(stage) == ""


async def test_what_others_deleted_is_gone(bench: Bench) -> None:
    """Instances whose keys are gone leave nothing to do, and their ids are free."""
    stage = await bench.open()
    worker = stage.worker()
    await start(stage)
    await worker.answer(await worker.turn(), timer(1, START + 60))
    await stage.engine.close()
    await bench.inner.close()  # which forgets everything
    stage = await bench.open()
    assert await worker_page(stage) == []
    stage.clock.move_to(START + 61)
    worker = stage.worker()
    assert await worker.nothing()
    await start(stage)
    assert (await worker.turn()).workflowRequest.instanceId == "i1"


async def test_the_engine_s_file_is_lost(bench: Bench, tmp_path: Path) -> None:
    """All workflows go on from the store alone: turns, activities, timers and what is over."""
    stage = await bench.open()
    worker = stage.worker()
    for name in ("over", "active", "timed"):
        await start(stage, name)
    await worker.answer(await worker.turn(), end(1, "7"))
    await worker.answer(await worker.turn(), task(1))
    await worker.answer(await worker.turn(), timer(1, START + 60))
    await stage.engine.close()
    bench.root = tmp_path / "new"
    stage = await bench.open()
    worker = stage.worker()
    assert sorted(await worker_page(stage)) == ["active", "over", "timed"]
    assert await status(stage, "over") == "COMPLETED"
    offered = await worker.task()
    await worker.done(offered)
    assert (await worker.turn()).workflowRequest.instanceId == "active"
    stage.clock.move_to(START + 61)
    assert (await worker.turn()).workflowRequest.instanceId == "timed"


# ---- failures -----------------------------------------------------------------------------------


@pytest.mark.row("I-WF2")
async def test_a_save_that_fails_is_done_again(bench: Bench) -> None:
    """I-WF2: a step that could not be saved is offered again, and the instance completes."""
    stage = await bench.open()
    worker = stage.worker()
    await start(stage)
    turn = await worker.turn()
    bench.next_fault = BEFORE
    with pytest.raises(ComponentError):
        await worker.answer(turn, end(1))
    assert await status(stage) == "PENDING"
    stage.clock.move_to(START + 2)
    await worker.answer(await worker.turn(), end(1))
    assert await status(stage) == "COMPLETED"


async def test_what_rests_on_a_failed_save_fails(bench: Bench) -> None:
    """A write that follows a failed one of the same instance does not leave half of both."""
    stage = await bench.open()
    worker = stage.worker()
    await start(stage)
    await worker.answer(await worker.turn())
    bench.next_fault = BEFORE
    first = asyncio.ensure_future(stage.workflows().raise_event("i1", "a", None))
    await asyncio.sleep(0)
    second = asyncio.ensure_future(stage.workflows().raise_event("i1", "b", None))
    outcomes = await asyncio.gather(first, second, return_exceptions=True)
    failed = sum(isinstance(outcome, ComponentError) for outcome in outcomes)
    assert failed
    extent = decode_extent(await bench.value("metadata"))
    assert extent.inbox == 2 - failed
    assert sum(key.startswith("inbox") for key in bench.kept()) == extent.inbox


async def test_a_store_that_is_away_when_its_app_comes(bench: Bench) -> None:
    """Calls fail until the store can be read; then everything goes on."""
    stage = await open_stage(bench.root, bench.clock)
    stage.store, bench.failing = bench.store, "keys"
    with pytest.raises(ComponentError, match="away"):
        await stage.come("app1")
    with pytest.raises(ComponentError):
        await status(stage)
    bench.failing = ""
    await stage.come("app1")
    worker = stage.worker()
    await start(stage)
    await worker.answer(await worker.turn(), timer(1, START + 60))
    bench.failing = "get"
    with pytest.raises(WorkflowProblem, match="failed to load workflow metadata: the store"):
        await status(stage, "other")
    stage.hub.live.clear()  # as if there were more than memory is for
    stage.clock.move_to(START + 61)
    assert await worker.nothing()
    bench.failing = ""
    stage.clock.move_to(START + 63)
    turn = await worker.turn()
    assert turn.workflowRequest.newEvents[1].timerFired.timerId == 1


@pytest.mark.row("I-WF2")
async def test_another_process_wrote(bench: Bench) -> None:
    """I-WF2: a step on a state that somebody else changed is refused; the instance is read anew."""
    stage = await bench.open()
    worker = stage.worker()
    await start(stage)
    turn = await worker.turn()
    raised = wf.HistoryEvent(eventId=-1)
    raised.eventRaised.name = "other"
    other = [
        StateWrite(f"{PREFIX}inbox-000001", raised.SerializeToString()),
        StateWrite(f"{PREFIX}metadata", Extent(2, 0, 0).encode()),
    ]
    await bench.inner.transact(other)
    with pytest.raises(ComponentError):
        await worker.answer(turn, end(1))
    stage.clock.move_to(START + 2)
    turn = await worker.turn()
    assert turn.workflowRequest.newEvents[2].eventRaised.name == "other"
    await worker.answer(turn, end(1))
    assert await status(stage) == "COMPLETED"


async def test_an_incomplete_state_stops_that_instance_alone(bench: Bench) -> None:
    """A key that is missing is named, and other instances go on."""
    stage = await bench.open()
    worker = stage.worker()
    for name in ("i1", "i2"):
        await start(stage, name)
        await worker.answer(await worker.turn(), timer(1, START + 60))
    await stage.engine.close()
    await bench.inner.write(StateWrite(f"{PREFIX}history-000001", None))
    stage = await bench.open()
    worker = stage.worker()
    with pytest.raises(ComponentError, match="history-000001"):
        await stage.workflows().get("i1", payloads=False)
    stage.clock.move_to(START + 61)
    assert (await worker.turn()).workflowRequest.instanceId == "i2"


# ---- apps with places of their own --------------------------------------------------------------


async def test_a_child_in_an_app_with_another_place(bench: Bench) -> None:
    """A parent in the engine's tables and its child in a state store hear of each other."""
    stage = await bench.beside("app2")
    first, second = stage.worker(), stage.worker("app2")
    await start(stage)
    await first.answer(await first.turn(), child(1, "c1", "app2"))
    await second.answer(await second.turn(), end(1, "5"))
    turn = await first.turn()
    assert turn.workflowRequest.newEvents[1].childWorkflowInstanceCompleted.result.value == "5"
    await first.answer(turn, end(2))
    keys = [key for key, _ in bench.inner.items()]
    assert keys
    assert all(key.startswith("app2||dapr.internal.default.app2.workflow||c1||") for key in keys)
    assert list(stage.workflows("app2").ids("", 0).instance_ids) == ["c1"]


@pytest.mark.parametrize("killed", [KILLED_BEFORE, KILLED_AFTER])
async def test_killed_between_two_places(bench: Bench, killed: str) -> None:
    """A parent in the engine's tables hears once of its child's end, wherever that is cut off."""
    stage = await bench.beside("app2")
    first, second = stage.worker(), stage.worker("app2")
    await start(stage)
    await first.answer(await first.turn(), child(1, "c1", "app2"))
    turn = await second.turn()
    bench.next_fault = killed
    with pytest.raises(ComponentError):
        await second.answer(turn, end(1, "5"))
    bench.store.cut = True
    shutil.copytree(bench.root, bench.root / "left", ignore=shutil.ignore_patterns("left"))
    await stage.engine.close()
    stage = await open_stage(bench.root / "left", bench.clock)
    stage.store = FaultyStore(bench.inner, lambda _: "")
    await stage.come("app2")
    first, second = stage.worker(), stage.worker("app2")
    if killed == KILLED_BEFORE:
        await second.answer(await second.turn(), end(1, "5"))
    assert await second.nothing()
    turn = await first.turn()
    (event,) = turn.workflowRequest.newEvents[1:]
    assert event.childWorkflowInstanceCompleted.result.value == "5"
    await first.answer(turn, end(2))
    assert await first.nothing()
    assert await status(stage) == "COMPLETED"


async def test_a_parent_whose_app_is_away(bench: Bench) -> None:
    """A child's end waits until its parent's app, and with it that app's state store, is back."""
    stage = await bench.beside("app1")
    first, second = stage.worker(), stage.worker("app2")
    await start(stage)
    await first.answer(await first.turn(), child(1, "c1", "app2"))
    turn = await second.turn()
    await stage.hub.homes.detach("app1")
    with pytest.raises(ComponentError, match="'app1' does not run"):
        await second.answer(turn, end(1, "5"))
    await stage.come("app1")
    stage.clock.move_to(START + 2)
    await second.answer(await second.turn(), end(1, "5"))
    turn = await first.turn()
    assert turn.workflowRequest.newEvents[1].childWorkflowInstanceCompleted.result.value == "5"


async def test_another_store_has_other_workflows(bench: Bench) -> None:
    """What is in one place rests while another is the app's, and goes on when it is back."""
    stage = await bench.open()
    worker = stage.worker()
    await start(stage)
    await worker.answer(await worker.turn(), timer(1, START + 60))
    await stage.hub.homes.attach("app1", None)
    assert await status(stage) == ""
    stage.clock.move_to(START + 61)
    assert await worker.nothing()
    await start(stage)
    await worker.answer(await worker.turn(), end(1, "here"))
    await stage.come("app1")
    turn = await worker.turn()
    assert turn.workflowRequest.newEvents[1].timerFired.timerId == 1
    await stage.hub.homes.attach("app1", None)
    assert await status(stage) == "COMPLETED"


async def test_what_was_to_begin_comes_along(bench: Bench) -> None:
    """A child for an app that has not come yet begins in the place that the app has then."""
    stage = await open_stage(bench.root, bench.clock)
    stage.store = bench.store
    first = stage.worker()
    await start(stage)
    await first.answer(await first.turn(), child(1, "c1", "app2"))
    await stage.come("app2")
    second = stage.worker("app2")
    await second.answer(await second.turn(), end(1, "5"))
    assert (
        (await first.turn()).workflowRequest.newEvents[1].HasField("childWorkflowInstanceCompleted")
    )
    assert list(stage.workflows("app2").ids("", 0).instance_ids) == ["c1"]
