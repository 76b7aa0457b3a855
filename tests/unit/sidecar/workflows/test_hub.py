"""The engine with a worker that tests move step by step: restarts, lost workers, several apps."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from daprflow.protocol import workflow_messages as wf
from daprflow.protocol.configuration_file import WorkflowConfiguration, WorkflowRetention
from daprflow.sidecar.clock import VirtualClock
from daprflow.sidecar.workflows.problems import NoWorker, WorkflowProblem
from tests.helpers.scripted_worker import (
    Stage,
    again,
    child,
    end,
    open_stage,
    task,
    timer,
)
from tests.helpers.timing import eventually
from tests.helpers.workflow_homes import HOMES, workflow_home

START = 1_700_000_000.0


@pytest.fixture(params=HOMES)
async def stage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stage]:
    """An engine, with workflows in each place where they can be."""
    clock = VirtualClock(START)
    async with workflow_home(request.param, tmp_path, clock) as store:
        opened = await open_stage(tmp_path, clock, store)
        yield opened
        await opened.engine.close()


async def reopened(stage: Stage, root: Path) -> Stage:
    """Close an engine, and open another one on the same files."""
    await stage.engine.close()
    return await open_stage(root, stage.clock, stage.store)


async def start(stage: Stage, instance_id: str = "i1", name: str = "w", **options: Any) -> str:
    """Start an instance; it need not run yet."""
    request = wf.CreateInstanceRequest(instanceId=instance_id, name=name, **options)
    return await stage.workflows().start(request)


async def status(stage: Stage, instance_id: str = "i1", app_id: str = "app1") -> str:
    """Return the status of an instance."""
    state = await stage.workflows(app_id).get(instance_id, payloads=True)
    if state is None:
        return ""
    name: str = wf.OrchestrationStatus.Name(state.workflowStatus)
    return name.removeprefix("ORCHESTRATION_STATUS_")


def kinds(item: wf.WorkItem) -> tuple[list[str], list[str]]:
    """Name the past events and the new ones of a turn."""
    request = item.workflowRequest
    return (
        [event.WhichOneof("eventType") or "" for event in request.pastEvents],
        [event.WhichOneof("eventType") or "" for event in request.newEvents],
    )


# ---- restarts -----------------------------------------------------------------------------------


async def test_an_activity_under_way_is_done_after_a_restart(stage: Stage, tmp_path: Path) -> None:
    """An activity without a result is offered again, and its old answer counts as well."""
    worker = stage.worker()
    await start(stage)
    await worker.answer(await worker.turn(), task(1), task(2))
    first, second = await worker.task(), await worker.task()
    await worker.done(second, "x")
    stage = await reopened(stage, tmp_path)
    worker = stage.worker()
    past = ["workflowStarted", "executionStarted", "taskScheduled", "taskScheduled"]
    items = [await worker.take(), await worker.take()]
    (turn,) = [item for item in items if item.HasField("workflowRequest")]
    (offered,) = [item for item in items if item.HasField("activityRequest")]
    assert kinds(turn) == (past, ["workflowStarted", "taskCompleted"])
    assert offered.activityRequest == first.activityRequest
    await worker.done(first, "y")  # the answer of the worker that had it before
    await worker.answer(turn)
    turn = await worker.turn()
    assert turn.workflowRequest.newEvents[1].taskCompleted.result.value == "y"
    await worker.done(offered, "z")
    await worker.answer(turn, end(3))
    assert await status(stage) == "COMPLETED"
    assert await worker.nothing()
    await stage.engine.close()


async def test_a_turn_under_way_is_done_after_a_restart(stage: Stage, tmp_path: Path) -> None:
    """A turn that was not answered comes again; an answer to the lost one is left out."""
    worker = stage.worker()
    await start(stage)
    lost = await worker.turn()
    stage = await reopened(stage, tmp_path)
    worker = stage.worker()
    turn = await worker.turn()
    assert kinds(turn) == kinds(lost)
    await worker.answer(lost, end(1, "lost"))
    assert await status(stage) == "PENDING"
    await worker.answer(turn, end(1))
    assert await status(stage) == "COMPLETED"
    await stage.engine.close()


async def test_timers_outlive_a_restart(stage: Stage, tmp_path: Path) -> None:
    """A timer that came due while the engine was away fires when a worker is there."""
    worker = stage.worker()
    await start(stage)
    await worker.answer(await worker.turn(), timer(1, START + 60), timer(2, START + 600))
    await stage.workflows().get("i1", payloads=False)
    await stage.engine.close()
    stage.clock.move_to(START + 90)
    stage = await open_stage(tmp_path, stage.clock, stage.store)
    worker = stage.worker()
    turn = await worker.turn()
    assert [e.timerFired.timerId for e in turn.workflowRequest.newEvents[1:]] == [1]
    await worker.answer(turn)
    assert await worker.nothing()
    stage.clock.move_to(START + 601)
    turn = await worker.turn()
    assert [e.timerFired.timerId for e in turn.workflowRequest.newEvents[1:]] == [2]
    await stage.engine.close()


async def test_events_that_nobody_took_outlive_a_restart(stage: Stage, tmp_path: Path) -> None:
    """An event that was accepted is in the next turn, whatever happened to the engine."""
    worker = stage.worker()
    await start(stage)
    await worker.answer(await worker.turn(), timer(1, START + 60))
    await stage.workflows().raise_event("i1", "go", wf.StringValue(value="1"))
    stage = await reopened(stage, tmp_path)
    turn = await stage.worker().turn()
    assert kinds(turn)[1] == ["workflowStarted", "eventRaised"]
    await stage.engine.close()


@pytest.mark.row("R-23")
async def test_what_a_turn_took_is_not_given_again_after_a_restart(
    stage: Stage, tmp_path: Path
) -> None:
    """A turn that takes hundreds of events takes each of them for good."""
    worker = stage.worker()
    await start(stage)
    first = await worker.turn()
    await asyncio.gather(
        *(stage.workflows().raise_event("i1", f"e{number}", None) for number in range(250))
    )
    await worker.answer(first, timer(1, START + 60))
    second = await worker.turn()
    assert len(kinds(second)[1]) == 251
    await worker.answer(second)
    stage = await reopened(stage, tmp_path)
    assert await stage.worker().nothing()
    await stage.engine.close()


async def test_an_execution_that_continued_as_new_outlives_a_restart(
    stage: Stage, tmp_path: Path
) -> None:
    """The next execution begins with its start, and what came meanwhile follows it."""
    worker = stage.worker()
    await start(stage)
    turn = await worker.turn()
    await stage.workflows().raise_event("i1", "late", None)
    await worker.answer(turn, task(1), again(2, "5"))
    stage = await reopened(stage, tmp_path)
    worker = stage.worker()
    turn = await worker.turn()
    assert kinds(turn) == ([], ["workflowStarted", "executionStarted", "eventRaised"])
    assert turn.workflowRequest.newEvents[1].executionStarted.input.value == "5"
    assert await status(stage) == "RUNNING"
    await worker.answer(turn, end(1))
    assert await worker.nothing()
    await stage.engine.close()


async def test_a_finished_instance_leaves_nothing_to_do(stage: Stage, tmp_path: Path) -> None:
    """After a restart nothing is offered for what is over."""
    worker = stage.worker()
    await start(stage)
    await worker.answer(await worker.turn(), timer(1, START + 5), end(2))
    stage = await reopened(stage, tmp_path)
    worker = stage.worker()
    stage.clock.move_to(START + 10)
    assert await worker.nothing()
    assert await status(stage) == "COMPLETED"
    await stage.engine.close()


async def test_a_timer_of_the_past_fires_at_once(stage: Stage) -> None:
    """A timer that is due when it is made needs no time to pass."""
    worker = stage.worker()
    await start(stage)
    await worker.answer(await worker.turn(), timer(1, START - 1), timer(2, START))
    turn = await worker.turn()
    assert [e.timerFired.timerId for e in turn.workflowRequest.newEvents[1:]] == [1, 2]


async def test_a_timer_that_is_due_during_a_turn(stage: Stage) -> None:
    """It is in the next turn."""
    worker = stage.worker()
    await start(stage)
    await worker.answer(await worker.turn(), timer(1, START + 5))
    await stage.workflows().raise_event("i1", "e", None)
    turn = await worker.turn()
    stage.clock.move_to(START + 6)
    await worker.answer(turn)
    assert kinds(await worker.turn())[1] == ["workflowStarted", "timerFired"]


# ---- workers ------------------------------------------------------------------------------------


@pytest.mark.row("R-17")
async def test_what_a_lost_worker_had_goes_to_another(stage: Stage) -> None:
    """A turn and an activity of a stream that broke off are offered again, unchanged."""
    lost = stage.worker()
    await start(stage)
    await lost.answer(await lost.turn(), task(1))
    activity = await lost.task()
    await start(stage, "i2")
    turn = await lost.turn()
    other = stage.worker()
    assert await other.nothing()
    lost.leave()
    items = [await other.take(), await other.take()]
    assert [each for each in items if each.HasField("activityRequest")] == [activity]
    assert [each for each in items if each.HasField("workflowRequest")] == [turn]


@pytest.mark.row("FS-37")
async def test_an_answer_counts_once(stage: Stage) -> None:
    """Answers that come twice, late, or for nothing are left out."""
    worker = stage.worker()
    await start(stage)
    turn = await worker.turn()
    await worker.answer(turn, task(1))
    await worker.answer(turn, task(1))
    activity = await worker.task()
    assert await worker.nothing()
    await worker.done(activity, token="of another execution")
    assert await worker.nothing()
    await worker.done(activity, token="")
    await worker.done(activity)
    turn = await worker.turn()
    assert kinds(turn)[1] == ["workflowStarted", "taskCompleted"]
    await worker.answer(turn, end(2))
    assert await worker.nothing()


@pytest.mark.row("FS-37")
async def test_results_of_an_earlier_execution_are_left_out(stage: Stage) -> None:
    """The activity of an execution that began anew is not the next one's of the same number."""
    worker = stage.worker()
    await start(stage)
    await worker.answer(await worker.turn(), task(1))
    old = await worker.task()
    await stage.workflows().raise_event("i1", "go", None)
    await worker.answer(await worker.turn(), again(2))
    await worker.answer(await worker.turn(), task(1))
    new = await worker.task()
    await worker.done(old, "old")
    assert await worker.nothing()
    await worker.done(new, "new")
    turn = await worker.turn()
    assert turn.workflowRequest.newEvents[1].taskCompleted.result.value == "new"


async def test_a_worker_that_keeps_histories_gets_what_is_new(stage: Stage) -> None:
    """It is told how many events it has; another worker gets all of them."""
    worker = stage.worker(stateful=True)
    await start(stage)
    await worker.answer(await worker.turn(), task(1), task(2))
    await worker.done(await worker.task())
    turn = await worker.take()
    await worker.done(turn if turn.HasField("activityRequest") else await worker.task())
    turn = turn if turn.HasField("workflowRequest") else await worker.turn()
    assert turn.workflowRequest.cachedHistory.eventCount == 0
    assert len(turn.workflowRequest.pastEvents) == 4
    await worker.answer(turn, task(3))
    items = [await worker.take()]
    if items[0].HasField("activityRequest"):
        await worker.done(items[0])
        items = [await worker.take()]
    request = items[0].workflowRequest
    assert request.cachedHistory.eventCount == 4
    grown = len(request.pastEvents)
    worker.leave()
    other = await stage.worker(stateful=True).turn()
    assert not other.workflowRequest.HasField("cachedHistory")
    assert len(other.workflowRequest.pastEvents) == 4 + grown


async def test_without_a_worker(stage: Stage) -> None:
    """A start waits for a worker and keeps nothing before; other calls give up after a while."""
    starting = asyncio.create_task(start(stage))
    raising = asyncio.create_task(stage.workflows().raise_event("i1", "e", None))
    await eventually(lambda: stage.clock.due() is not None)
    assert await status(stage) == ""
    stage.clock.move_to(START + 5)
    with pytest.raises(NoWorker) as raised:
        await raising
    assert str(raised.value) == (
        "failed to lookup actor: api error: code = FailedPrecondition desc = did not find "
        "address for actor 'dapr.internal.default.app1.workflow/i1'"
    )
    worker = stage.worker()
    assert await starting == "i1"
    assert kinds(await worker.turn())[1] == ["workflowStarted", "executionStarted"]


async def test_a_turn_that_no_message_holds_stalls(stage: Stage) -> None:
    """An instance stalls whose turn is too large, and goes on with a worker that takes more."""
    small = stage.worker(limit=2000)
    request = wf.CreateInstanceRequest(instanceId="i1", name="w")
    request.input.value = "x" * 3000
    await stage.workflows().start(request)
    assert await small.nothing()
    assert await status(stage) == "STALLED"
    with pytest.raises(WorkflowProblem, match="'i1': actor is stalled"):
        await stage.workflows().raise_event("i1", "e", None)
    small.leave()
    worker = stage.worker(limit=20_000)
    turn = await worker.turn()
    assert kinds(turn) == (["executionStalled"], ["workflowStarted", "executionStarted"])
    await worker.answer(turn, end(1))
    assert await status(stage) == "COMPLETED"


# ---- several apps -------------------------------------------------------------------------------


async def test_activities_and_children_of_another_app(stage: Stage) -> None:
    """They wait for that app's worker, and their results come back."""
    worker = stage.worker()
    await start(stage)
    await worker.answer(await worker.turn(), task(1, app_id="app2"), child(2, "c1", "app2"))
    assert await worker.nothing()
    other = stage.worker("app2")
    items = [await other.take(), await other.take()]
    for item in items:
        if item.HasField("activityRequest"):
            await other.done(item, "7")
        else:
            parent = item.workflowRequest.newEvents[1].executionStarted.parentInstance
            assert (parent.appID, parent.taskScheduledId) == ("app1", 2)
            await other.answer(item, end(1, "8"))
    results: list[str] = []
    while len(results) < 2:
        turn = await worker.turn()
        for event in turn.workflowRequest.newEvents:
            done = event.taskCompleted if event.HasField("taskCompleted") else None
            if event.HasField("childWorkflowInstanceCompleted"):
                results.append(event.childWorkflowInstanceCompleted.result.value)
            elif done is not None:
                results.append(done.result.value)
        await worker.answer(turn)
    assert sorted(results) == ["7", "8"]
    assert await status(stage, "c1", "app2") == "COMPLETED"
    assert await status(stage, "c1") == ""


@pytest.mark.row("R-12")
async def test_a_child_whose_id_is_taken(stage: Stage) -> None:
    """The parent hears that the id belongs to an active instance."""
    worker = stage.worker()
    await start(stage, "taken")
    await worker.turn()
    await start(stage)
    await worker.answer(await worker.turn(), child(1, "taken"))
    turn = await worker.turn()
    failed = turn.workflowRequest.newEvents[1].childWorkflowInstanceFailed
    assert (failed.taskScheduledId, failed.failureDetails.errorType) == (
        1,
        "WorkflowInstanceAlreadyExists",
    )
    assert failed.failureDetails.errorMessage == "an active workflow with ID 'taken' already exists"


@pytest.mark.row("R-12")
async def test_an_id_is_free_when_all_below_is_over(stage: Stage) -> None:
    """An instance that is over keeps its id while a child workflow of it runs."""
    worker = stage.worker()
    await start(stage)
    await worker.answer(await worker.turn(), child(1, "c1"), end(2))
    running = await worker.turn()
    with pytest.raises(WorkflowProblem, match="cannot recreate workflow with ID 'i1'"):
        await start(stage)
    await worker.answer(running, end(1))
    await start(stage)
    turn = await worker.turn()
    assert kinds(turn) == ([], ["workflowStarted", "executionStarted"])


async def test_an_id_that_is_asked_to_be_new(stage: Stage) -> None:
    """As with a real runtime, to ask for an id that nobody had changes nothing."""
    worker = stage.worker()
    await start(stage)
    await worker.answer(await worker.turn(), end(1))
    await start(stage, enforceUniqueInstanceId=True)
    assert kinds(await worker.turn()) == ([], ["workflowStarted", "executionStarted"])


# ---- purging ------------------------------------------------------------------------------------


@pytest.mark.row("FS-37", "R-06")
async def test_what_is_purged_by_force_is_gone(stage: Stage, tmp_path: Path) -> None:
    """A running instance goes with all that is under way of it, its child workflows too."""
    worker = stage.worker()
    await start(stage)
    await worker.answer(await worker.turn(), task(1), child(2, "c1"), timer(3, START + 9))
    items = [await worker.take(), await worker.take()]
    assert await stage.workflows().purge("i1", recursive=True, force=True) == 2
    for item in items:
        if item.HasField("activityRequest"):
            await worker.done(item)
        else:
            await worker.answer(item, end(1))
    stage.clock.move_to(START + 10)
    assert await worker.nothing()
    assert (await status(stage), await status(stage, "c1")) == ("", "")
    again_ = await reopened(stage, tmp_path)
    assert again_.workflows().ids("", 0).instance_ids == []
    await again_.engine.close()


async def test_work_is_counted_while_a_worker_is_there(stage: Stage) -> None:
    """What is under way counts as work, and what waits for a worker does not."""
    work = stage.engine.work
    worker = stage.worker()
    await start(stage)
    await eventually(lambda: work.count == 1)
    await worker.answer(await worker.turn(), task(1), timer(2, START + 9))
    await asyncio.sleep(0)
    assert work.count == 1
    worker.leave()
    assert work.count == 0
    worker = stage.worker()
    assert work.count == 1
    await worker.done(await worker.task())
    await worker.answer(await worker.turn())
    await asyncio.sleep(0)
    assert work.count == 0


async def test_memory_holds_no_more_idle_instances_than_it_may(stage: Stage) -> None:
    """Instances that wait are left to the store when there are many, and come back from it."""
    stage.hub.idle_limit = 1
    worker = stage.worker(stateful=True)
    for number in range(4):
        await start(stage, f"i{number}")
        await worker.answer(await worker.turn(), timer(1, START + 60 + number))
    await asyncio.gather(*(stage.workflows().get(f"i{n}", payloads=False) for n in range(4)))
    stage.clock.move_to(START + 100)
    fired = [await worker.turn() for _ in range(4)]
    assert {turn.workflowRequest.instanceId for turn in fired} == {"i0", "i1", "i2", "i3"}
    for turn in fired:
        assert kinds(turn)[1] == ["workflowStarted", "timerFired"]
        await worker.answer(turn, end(2))
    assert await status(stage, "i3") == "COMPLETED"


async def test_looking_at_instances_does_not_keep_them_in_memory(stage: Stage) -> None:
    """Whoever looks at many instances that wait has the older ones left to the store again."""
    stage.hub.idle_limit = 2
    worker = stage.worker(stateful=True)
    for number in range(6):
        await start(stage, f"i{number}")
        await worker.answer(await worker.turn(), timer(1, START + 60))
    for _ in range(2):
        for number in range(6):
            assert await status(stage, f"i{number}") == "RUNNING"
            assert len(stage.hub.live) <= 2
    stage.clock.move_to(START + 100)
    fired = [await worker.turn() for _ in range(6)]
    assert {turn.workflowRequest.instanceId for turn in fired} == {f"i{n}" for n in range(6)}


async def test_ending_what_was_to_begin_later(stage: Stage, tmp_path: Path) -> None:
    """An instance that is to begin later can be ended before that, restart or not."""
    worker = stage.worker()
    request = wf.CreateInstanceRequest(instanceId="i1", name="w")
    request.scheduledStartTimestamp.seconds = int(START) + 60
    await stage.workflows().start(request)
    assert await worker.nothing()
    await stage.workflows().terminate("i1", None, recursive=False, wait=False)
    stage = await reopened(stage, tmp_path)
    worker = stage.worker()
    await worker.answer(await worker.turn())
    assert await status(stage) == "TERMINATED"
    await stage.engine.close()


# ---- settings -----------------------------------------------------------------------------------


async def test_limits_of_what_runs_at_one_time(stage: Stage) -> None:
    """No more turns and activities are given out than the app's configuration says."""
    worker = stage.worker()
    stage.hub.host("app1").settings = WorkflowConfiguration(max_workflows=2, max_activities=1)
    for number in range(3):
        await start(stage, f"i{number}")
    first, second = await worker.turn(), await worker.turn()
    assert await worker.nothing()
    await worker.answer(first, task(1), task(2))
    items = [await worker.take(), await worker.take()]
    assert sorted(item.HasField("activityRequest") for item in items) == [False, True]
    assert await worker.nothing()
    for item in items:
        if item.HasField("activityRequest"):
            await worker.done(item)
    assert (await worker.task()).activityRequest.taskId == 2
    await worker.answer(second, end(1))
    assert (await worker.turn()).workflowRequest.instanceId == "i0"


async def test_what_is_over_is_kept_as_long_as_wanted(stage: Stage, tmp_path: Path) -> None:
    """An instance is forgotten when its time is over, though the engine was closed meanwhile."""
    worker = stage.worker()
    retention = WorkflowRetention(any_terminal=60.0, failed=600.0)
    stage.hub.host("app1").settings = WorkflowConfiguration(retention=retention)
    for name in ("i1", "i2"):
        await start(stage, name)
        await worker.answer(await worker.turn(), end(1))
    await start(stage, "i3")
    failing = end(1)
    failing.completeWorkflow.workflowStatus = wf.ORCHESTRATION_STATUS_FAILED
    await worker.answer(await worker.turn(), failing)
    stage = await reopened(stage, tmp_path)
    stage.clock.move_to(START + 59)
    assert await status(stage) == "COMPLETED"
    stage.clock.move_to(START + 61)
    stage = await reopened(stage, tmp_path)
    assert [await status(stage, name) for name in ("i1", "i3")] == ["", "FAILED"]
    await stage.engine.close()


# ---- histories that are passed on ---------------------------------------------------------------


def names_in(chunk: wf.PropagatedHistoryChunk) -> list[str]:
    """Name what a passed on piece of history tells of."""
    found = (wf.HistoryEvent.FromString(raw) for raw in chunk.rawEvents)
    return [event.WhichOneof("eventType") or "" for event in found]


async def test_histories_are_passed_on(stage: Stage, tmp_path: Path) -> None:
    """What is started gets its parent's history, and where wanted what the parent got itself."""
    worker = stage.worker()
    await start(stage)
    first, second = task(1), child(2, "c1")
    first.scheduleTask.historyPropagationScope = wf.HISTORY_PROPAGATION_SCOPE_OWN_HISTORY
    second.createChildWorkflow.historyPropagationScope = wf.HISTORY_PROPAGATION_SCOPE_LINEAGE
    await worker.answer(await worker.turn(), first, second)
    stage = await reopened(stage, tmp_path)
    worker = stage.worker()
    items = [await worker.take(), await worker.take()]
    (activity,) = [item for item in items if item.HasField("activityRequest")]
    (turn,) = [item for item in items if item.HasField("workflowRequest")]
    (chunk,) = activity.activityRequest.propagatedHistory.chunks
    assert (chunk.appId, chunk.instanceId, chunk.workflowName) == ("app1", "i1", "w")
    begun = ["workflowStarted", "executionStarted", "taskScheduled"]
    assert names_in(chunk) == begun
    (chunk,) = turn.workflowRequest.propagatedHistory.chunks
    assert names_in(chunk) == [*begun, "childWorkflowInstanceCreated"]
    third = task(1)
    third.scheduleTask.historyPropagationScope = wf.HISTORY_PROPAGATION_SCOPE_LINEAGE
    await worker.answer(turn, third)
    chunks = (await worker.task()).activityRequest.propagatedHistory.chunks
    assert [chunk.instanceId for chunk in chunks] == ["i1", "c1"]
    await stage.engine.close()


async def test_a_history_is_passed_on_to_the_next_execution(stage: Stage) -> None:
    """An execution that continues as new hands on what it got, with its own history."""
    worker = stage.worker()
    await start(stage)
    made = child(1, "c1")
    made.createChildWorkflow.historyPropagationScope = wf.HISTORY_PROPAGATION_SCOPE_LINEAGE
    await worker.answer(await worker.turn(), made)
    await worker.answer(await worker.turn(), again(1))
    turn = await worker.turn()
    chunks = turn.workflowRequest.propagatedHistory.chunks
    assert [chunk.instanceId for chunk in chunks] == ["i1", "c1"]
    assert names_in(chunks[1]) == ["workflowStarted", "executionStarted"]
