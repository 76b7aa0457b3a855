"""Row I-WF2 of the regression pack: whatever comes twice counts once, and what failed is retried.

Answers that come twice, activities under way at a restart and results of an earlier execution are
in `test_hub.py`.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from daprflow.protocol import workflow_messages as wf
from daprflow.sidecar.components.base import ComponentError
from tests.helpers.scripted_worker import ScriptedWorker, Stage, again, child, end, task, timer
from tests.helpers.workflow_rows import (
    START,
    begin,
    fail,
    failed,
    history,
    new_kinds,
    opened,
    raise_event,
    restart,
    start,
    state_of,
    status,
    waiting_for,
)

FULL = "PRAGMA max_page_count = 1"
"""Lets a database grow no more: it keeps the pages that it has."""
ROOMY = "PRAGMA max_page_count = 1000000"


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """An engine."""
    async with opened(tmp_path) as stage:
        yield stage


async def set_disk(stage: Stage, pragma: str) -> None:
    """Fill the disk, or make space."""
    database = stage.engine.database
    assert database is not None
    await database.writer.run(lambda connection: connection.execute(pragma).fetchone())


@pytest.mark.row("I-WF2", "R-16")
@pytest.mark.parametrize("kind", ["taskCompleted", "taskFailed"])
@pytest.mark.parametrize("when", ["before the turn", "during it", "after it"])
async def test_a_second_result_changes_nothing(stage: Stage, kind: str, when: str) -> None:
    """I-WF2: a second copy of an activity's result is left out, and the instance still wakes."""
    worker = stage.worker()
    await start(stage)
    await worker.answer(await worker.turn(), task(1), task(2))
    first, second = await worker.task(), await worker.task()
    answer: Callable[[wf.WorkItem], Awaitable[None]] = (
        worker.done if kind == "taskCompleted" else _failing(stage)
    )
    await answer(first)
    if when == "before the turn":
        await answer(first)
    turn = await worker.turn()
    assert new_kinds(turn) == [kind]
    if when == "during it":
        await answer(first)
    await worker.answer(turn)
    if when == "after it":
        await answer(first)
    assert await worker.nothing()
    await worker.done(second)
    assert new_kinds(await worker.turn()) == ["taskCompleted"]


def _failing(stage: Stage) -> Callable[[wf.WorkItem], Awaitable[None]]:
    async def answer(item: wf.WorkItem) -> None:
        await fail(stage, item)

    return answer


@pytest.mark.row("I-WF2")
async def test_a_result_after_a_failure_changes_nothing(stage: Stage) -> None:
    """I-WF2: the first outcome of an activity counts, whichever it is."""
    worker = stage.worker()
    await start(stage)
    await worker.answer(await worker.turn(), task(1))
    activity = await worker.task()
    await fail(stage, activity)
    await worker.done(activity)
    turn = await worker.turn()
    assert new_kinds(turn) == ["taskFailed"]
    await worker.answer(turn, end(2))
    assert (await history(stage)).count("taskCompleted") == 0


@pytest.mark.row("I-WF2")
async def test_a_timer_fires_once(stage: Stage, tmp_path: Path) -> None:
    """I-WF2: a timer that is due while its turn runs, and again after a restart, fires once."""
    worker = stage.worker()
    await start(stage)
    await worker.answer(await worker.turn(), timer(1, START + 1), task(2))
    await worker.done(await worker.task())
    turn = await worker.turn()
    stage.clock.move_to(START + 2)
    await worker.answer(turn)
    turn = await worker.turn()
    assert new_kinds(turn) == ["timerFired"]
    stage.clock.move_to(START + 3)
    await restart(stage, tmp_path)
    worker = stage.worker()
    turn = await worker.turn()
    assert new_kinds(turn) == ["timerFired"]
    await worker.answer(turn)
    stage.clock.move_to(START + 9)
    await restart(stage, tmp_path)
    assert await stage.worker().nothing()
    assert (await history(stage)).count("timerFired") == 1


@pytest.mark.row("I-WF2")
@pytest.mark.parametrize("outcome", ["completed", "failed"])
async def test_a_child_ends_once(stage: Stage, tmp_path: Path, outcome: str) -> None:
    """I-WF2: a parent hears once of a child's end, though that is answered twice."""
    worker = stage.worker()
    await start(stage)
    await worker.answer(await worker.turn(), child(1, "c1"))
    turn = await worker.turn()
    last = end(1) if outcome == "completed" else failed(1)
    await worker.answer(turn, last)
    await worker.answer(turn, last)
    await restart(stage, tmp_path)
    worker = stage.worker()
    await worker.answer(turn, last)
    heard = await worker.turn()
    assert new_kinds(heard) == [f"childWorkflowInstance{outcome.title()}"]
    await worker.answer(heard)
    await worker.answer(turn, last)
    assert await worker.nothing()


@pytest.mark.row("I-WF2")
@pytest.mark.parametrize("new_life", ["purged and started again", "continued as new"])
async def test_a_late_child_of_an_earlier_life(stage: Stage, new_life: str) -> None:
    """I-WF2: a child's end reaches nobody but the execution that started it."""
    worker = stage.worker()
    await start(stage)
    await worker.answer(await worker.turn(), child(1, "old"), waiting_for(2, "go"))
    old = await worker.turn()
    if new_life == "continued as new":
        await raise_event(stage, "i1", "go")
        await worker.answer(await worker.turn(), again(3))
    else:
        await stage.workflows().purge("i1", recursive=False, force=True)
        await start(stage)
    await worker.answer(await worker.turn(), child(1, "new"))
    new = await worker.turn()
    await worker.answer(old, end(1, "old"))
    assert await worker.nothing()
    await worker.answer(new, end(1, "new"))
    (heard,) = (await worker.turn()).workflowRequest.newEvents[1:]
    assert heard.childWorkflowInstanceCompleted.result.value == "new"


@pytest.mark.row("I-WF2")
async def test_two_events_alike_are_two_events(stage: Stage, tmp_path: Path) -> None:
    """I-WF2: two events of one name and payload, sent in one instant, both arrive."""
    worker = stage.worker()
    await begin(stage, worker)
    await asyncio.gather(*(raise_event(stage, "i1", "go", "same") for _ in range(3)))
    await restart(stage, tmp_path)
    worker = stage.worker()
    turn = await worker.turn()
    assert new_kinds(turn) == ["eventRaised"] * 3
    await worker.answer(turn, end(2))
    assert (await history(stage)).count("eventRaised") == 3


@pytest.mark.row("FS-06", "I-WF2", "I-WF6")
@pytest.mark.parametrize("what", ["turn", "activity", "start", "event"])
async def test_what_cannot_be_saved_is_tried_again(
    stage: Stage, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    """I-WF2, I-WF6: on a full disk calls fail; with space again nothing is lost."""
    worker = stage.worker()
    await begin(stage, worker, "waiting")
    await start(stage)
    turn = await worker.turn()
    activity: wf.WorkItem | None = None
    if what == "activity":
        await worker.answer(turn, task(1))
        activity = await worker.task()
    await set_disk(stage, FULL)
    with pytest.raises(ComponentError, match="disk is full"):
        await _one(stage, worker, what, turn, activity)
    await set_disk(stage, ROOMY)
    stage.clock.move_to(START + 5)
    await _finish(worker)
    if what in {"start", "event"}:
        await worker.answer(turn, end(1))
        await _one(stage, worker, what, turn, activity)
        await _finish(worker)
    assert "could not be written" in caplog.text
    assert await status(stage) == "COMPLETED"
    await raise_event(stage, "waiting", "go")
    await _finish(worker)
    assert await status(stage, "waiting") == "COMPLETED"
    assert await worker.nothing()


async def _one(
    stage: Stage, worker: ScriptedWorker, what: str, turn: wf.WorkItem, activity: wf.WorkItem | None
) -> None:
    """Do one thing that writes more than a database has pages for."""
    large = "x" * 200_000
    match what:
        case "turn":
            await worker.answer(turn, end(1, large))
        case "activity":
            assert activity is not None
            await worker.done(activity, large)
        case "start":
            request = wf.CreateInstanceRequest(instanceId="new", name="w")
            request.input.value = large
            await stage.workflows().start(request)
        case _:
            await raise_event(stage, "waiting", "other", large)


async def _finish(worker: ScriptedWorker) -> None:
    """Do whatever there is: each turn but one that only waits ends its instance."""
    while not await worker.nothing():
        item = await worker.take()
        if item.HasField("activityRequest"):
            await worker.done(item)
        else:
            request = item.workflowRequest
            waits = request.instanceId == "waiting" and "go" not in _raised(request)
            await worker.answer(item, *(() if waits else (end(9),)))


def _raised(request: wf.WorkflowRequest) -> set[str]:
    events = [*request.pastEvents, *request.newEvents]
    return {event.eventRaised.name for event in events if event.HasField("eventRaised")}


@pytest.mark.row("I-WF2", "R-03")
async def test_nobody_sees_half_a_step(stage: Stage) -> None:
    """I-WF2: who reads while steps are kept sees histories that only grow, each step as a whole."""
    worker = stage.worker()
    await start(stage)
    seen: list[list[str]] = []
    done = asyncio.Event()

    async def read() -> None:
        while not done.is_set():
            seen.append(await history(stage))
            state = await state_of(stage)
            if "executionCompleted" in seen[-1]:
                assert state.workflowStatus == wf.ORCHESTRATION_STATUS_COMPLETED
            await asyncio.sleep(0)

    reading = asyncio.create_task(read())
    for number in range(0, 30, 3):
        await worker.answer(await worker.turn(), task(number + 1), timer(number + 2, START))
        items = [await worker.take(), await worker.take()]
        for item in sorted(items, key=lambda each: each.HasField("activityRequest")):
            if item.HasField("activityRequest"):
                await worker.done(item)
            else:
                await worker.answer(item)
    await worker.answer(await worker.turn(), end(99))
    last = await history(stage)
    done.set()
    await reading
    for before, after in itertools.pairwise(seen):
        assert after[: len(before)] == before
    for found in seen:
        assert found == last[: len(found)]
        assert found.count("taskScheduled") == found.count("timerCreated")


@pytest.mark.row("I-WF2", "R-06")
async def test_wake_ups_do_not_pile_up(stage: Stage) -> None:
    """I-WF2: an instance that was woken often, and is over, leaves nothing behind that wakes it."""
    worker = stage.worker()
    await begin(stage, worker)
    for number in range(100):
        await raise_event(stage, "i1", f"e{number}")
        await worker.answer(await worker.turn(), timer(number + 2, START + 600 + number))
    assert stage.clock.due() == START + 600
    await raise_event(stage, "i1", "go")
    await worker.answer(await worker.turn(), end(999))
    await state_of(stage)
    assert stage.clock.due() is None
