"""Row I-WF3 of the regression pack: how instances end, are forgotten, begin anew and run again.

Ids of instances whose children run, retention by state, and purging by force with work under way
are in `test_hub.py`.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from daprflow.protocol import workflow_messages as wf
from daprflow.protocol.configuration_file import WorkflowConfiguration, WorkflowRetention
from daprflow.protocol.grpc_codes import Code
from daprflow.sidecar.workflows.problems import WorkflowProblem
from tests.helpers.scripted_worker import ScriptedWorker, Stage, again, child, end, task, timer
from tests.helpers.workflow_rows import (
    START,
    begin,
    failed,
    history,
    new_kinds,
    opened,
    raise_event,
    restart,
    start,
    state_of,
    status,
    terminate,
    waiting_for,
)

NOT_OVER = "orchestration has not yet completed"


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """An engine."""
    async with opened(tmp_path) as stage:
        yield stage


# ---- termination --------------------------------------------------------------------------------


BATCHES = ("taskCompleted", "timerFired", "eventRaised", "childWorkflowInstanceCompleted")
ANSWERS = ("nothing", "more work", "continue as new")


@pytest.mark.row("FS-38", "I-WF3", "R-05")
@pytest.mark.parametrize("kind", BATCHES)
@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("first", [True, False], ids=["terminated first", "terminated last"])
async def test_termination_wins(stage: Stage, kind: str, answer: str, *, first: bool) -> None:
    """I-WF3: who is terminated ends so, whatever comes with it and whatever its worker answers."""
    worker = stage.worker()
    await start(stage)
    await worker.answer(
        await worker.turn(), task(1), timer(2, START + 1), child(3, "c1"), waiting_for(4, "go")
    )
    items = [await worker.take(), await worker.take()]
    (activity,) = [item for item in items if item.HasField("activityRequest")]
    (below,) = [item for item in items if item.HasField("workflowRequest")]
    await raise_event(stage, "i1", "hold")
    held = await worker.turn()
    if first:
        await terminate(stage, recursive=False)
    match kind:
        case "taskCompleted":
            await worker.done(activity)
        case "timerFired":
            stage.clock.move_to(START + 2)
        case "eventRaised":
            await raise_event(stage, "i1", "go")
        case _:
            await worker.answer(below, end(1))
    if not first:
        await terminate(stage, recursive=False)
    await worker.answer(held)
    turn = await worker.turn()
    assert set(new_kinds(turn)) == {kind, "executionTerminated"}
    actions: dict[str, Sequence[wf.WorkflowAction]] = {
        "nothing": (),
        "more work": (task(5), timer(6, START + 9), child(7, "c2")),
        "continue as new": (again(5),),
    }
    await worker.answer(turn, *actions[answer])
    state = await state_of(stage)
    assert state.workflowStatus == wf.ORCHESTRATION_STATUS_TERMINATED
    assert state.output.value == "ended"
    stage.clock.move_to(START + 20)
    await raise_event(stage, "i1", "late")
    assert await worker.nothing(rounds=20)
    assert await status(stage, "c2") == ""


@pytest.mark.row("I-WF3")
async def test_a_suspended_instance_can_be_terminated(stage: Stage, tmp_path: Path) -> None:
    """I-WF3: an instance that is paused ends when it is told to, also after a restart."""
    worker = stage.worker()
    await begin(stage, worker)
    await stage.workflows().suspend("i1", "", wait=False)
    await stage.workflows().suspend("i1", "again", wait=False)
    turn = await worker.turn()
    assert new_kinds(turn) == ["executionSuspended"] * 2
    await worker.answer(turn)
    assert await status(stage) == "SUSPENDED"
    await restart(stage, tmp_path)
    worker = stage.worker()
    await terminate(stage)
    await worker.answer(await worker.turn())
    assert await status(stage) == "TERMINATED"


async def _family(stage: Stage) -> tuple[ScriptedWorker, ScriptedWorker]:
    """Start an instance with a child, one in another app, and a grandchild there."""
    worker, other = stage.worker(), stage.worker("app2")
    await start(stage)
    await worker.answer(await worker.turn(), child(1, "c1"), child(2, "c2", "app2"))
    await worker.answer(await worker.turn(), waiting_for(1, "go"))
    await other.answer(await other.turn(), child(1, "g1"))
    await other.answer(await other.turn(), waiting_for(1, "go"))
    return worker, other


async def _statuses(stage: Stage) -> list[str]:
    places = (("i1", "app1"), ("c1", "app1"), ("c2", "app2"), ("g1", "app2"))
    return [await status(stage, name, app_id) for name, app_id in places]


async def _answer_all(*workers: ScriptedWorker) -> None:
    busy = True
    while busy:
        busy = False
        for worker in workers:
            while not await worker.nothing(rounds=10):
                busy = True
                await worker.answer(await worker.turn())


@pytest.mark.row("I-WF3")
@pytest.mark.parametrize("recursive", [True, False])
async def test_termination_goes_down(stage: Stage, *, recursive: bool) -> None:
    """I-WF3: recursive termination reaches grandchildren in other apps; another one leaves them."""
    worker, other = await _family(stage)
    await terminate(stage, recursive=recursive)
    await _answer_all(worker, other)
    below = "TERMINATED" if recursive else "RUNNING"
    assert await _statuses(stage) == ["TERMINATED", below, below, below]
    if recursive:
        assert (await state_of(stage, "g1", "app2")).output.value == "ended"


# ---- purging ------------------------------------------------------------------------------------


@pytest.mark.row("I-WF3")
async def test_purging_goes_down_or_does_nothing(stage: Stage) -> None:
    """I-WF3: a recursive purge takes everything below, in all apps, or nothing where one runs."""
    worker, other = await _family(stage)
    await terminate(stage, recursive=False)
    await _answer_all(worker, other)
    text = f"failed to purge child workflow: {NOT_OVER}"
    with pytest.raises(WorkflowProblem, match=text):
        await stage.workflows().purge("i1", recursive=True, force=False)
    assert await _statuses(stage) == ["TERMINATED", "RUNNING", "RUNNING", "RUNNING"]
    await terminate(stage, "c1")
    await stage.workflows("app2").terminate("c2", None, recursive=False, wait=False)
    await _answer_all(worker, other)
    with pytest.raises(WorkflowProblem, match=f"failed to purge child workflow: {text}"):
        await stage.workflows().purge("i1", recursive=True, force=False)
    assert await stage.workflows().purge("i1", recursive=True, force=True) == 4
    assert await _statuses(stage) == ["", "", "", ""]
    await _answer_all(worker, other)


@pytest.mark.row("I-WF3")
async def test_purging_again_is_no_harm(stage: Stage, tmp_path: Path) -> None:
    """I-WF3: a second purge says that nothing is there; children purged before are no obstacle."""
    worker, other = await _family(stage)
    await terminate(stage)
    await _answer_all(worker, other)
    assert await stage.workflows("app2").purge("c2", recursive=False, force=False) == 1
    assert await stage.workflows().purge("i1", recursive=True, force=False) == 2
    await restart(stage, tmp_path)
    stage.worker()
    with pytest.raises(WorkflowProblem, match=r"^failed to fetch workflow state: no such inst"):
        await stage.workflows().purge("i1", recursive=True, force=False)
    assert await _statuses(stage) == ["", "", "", "TERMINATED"]


@pytest.mark.row("I-WF3")
async def test_what_is_not_over_is_not_purged(stage: Stage) -> None:
    """I-WF3: what runs, and what did not begin, is purged by force alone; that needs no worker."""
    worker = stage.worker()
    await begin(stage, worker)
    request = wf.CreateInstanceRequest(instanceId="later", name="w")
    request.scheduledStartTimestamp.seconds = int(START) + 60
    await stage.workflows().start(request)
    for recursive in (True, False):
        with pytest.raises(WorkflowProblem, match=f"^{NOT_OVER}$"):
            await stage.workflows().purge("i1", recursive=recursive, force=False)
    with pytest.raises(WorkflowProblem, match=r"^no such instance exists$"):
        await stage.workflows().purge("later", recursive=True, force=False)
    with pytest.raises(WorkflowProblem, match=f"^{NOT_OVER}$"):
        await stage.workflows().purge("later", recursive=False, force=False)
    worker.leave()
    assert await stage.workflows().purge("i1", recursive=True, force=True) == 1
    assert await stage.workflows().purge("later", recursive=False, force=True) == 1
    assert stage.workflows().ids("", 0).instance_ids == []


RETENTION = WorkflowRetention(any_terminal=60.0, completed=0.0, failed=600.0, terminated=6000.0)


@pytest.mark.row("I-WF3")
@pytest.mark.parametrize(
    ("how", "kept"), [("completed", 0.0), ("failed", 600.0), ("terminated", 6000.0)]
)
async def test_each_end_is_kept_its_own_time(
    stage: Stage, tmp_path: Path, how: str, kept: float
) -> None:
    """I-WF3: a configuration says for each way to end how long it is kept, restarts or not."""
    stage.hub.host("app1").settings = WorkflowConfiguration(retention=RETENTION)
    worker = stage.worker()
    await begin(stage, worker)
    await (terminate(stage) if how == "terminated" else raise_event(stage, "i1", "go"))
    answers = {"completed": (end(2),), "failed": (failed(2),), "terminated": ()}
    await worker.answer(await worker.turn(), *answers[how])
    if kept:
        await state_of(stage)
        stage.clock.move_to(START + kept - 1)
        await restart(stage, tmp_path)
        assert await status(stage) == how.upper()
    stage.clock.move_to(START + kept + 1)
    while await status(stage):  # noqa: ASYNC110 - nobody is told when an instance is forgotten
        await asyncio.sleep(0)


# ---- ids ----------------------------------------------------------------------------------------


@pytest.mark.row("I-WF3", "R-12")
async def test_an_occupied_id_fails_that_child_alone(stage: Stage) -> None:
    """I-WF3: where the id of a child is taken that call fails; the others, and the taker, go on."""
    worker = stage.worker()
    await begin(stage, worker, "taken")
    await start(stage)
    await worker.answer(await worker.turn(), child(1, "taken"), child(2, "free"), task(3))
    results: list[str] = []
    while len(results) < 3:
        item = await worker.take()
        if item.HasField("activityRequest"):
            await worker.done(item)
        elif item.workflowRequest.instanceId == "free":
            await worker.answer(item, end(1))
        else:
            results += new_kinds(item)
            await worker.answer(item)
    assert sorted(results) == [
        "childWorkflowInstanceCompleted",
        "childWorkflowInstanceFailed",
        "taskCompleted",
    ]
    await raise_event(stage, "taken", "go")
    await worker.answer(await worker.turn(), end(2))
    assert await status(stage, "taken") == "COMPLETED"


@pytest.mark.row("I-WF3", "R-12")
async def test_a_finished_id_begins_anew(stage: Stage, tmp_path: Path) -> None:
    """I-WF3: an id that is used again has nothing of what it had, in memory or in the file."""
    worker = stage.worker()
    await start(stage)
    await worker.answer(await worker.turn(), task(1), timer(2, START + 5), end(3, "first"))
    old = await worker.task()
    await start(stage, name="second")
    turn = await worker.turn()
    assert turn.workflowRequest.pastEvents == []
    await worker.answer(turn, task(1))
    await worker.done(old)
    stage.clock.move_to(START + 9)
    await worker.done(await worker.task())
    turn = await worker.turn()
    assert new_kinds(turn) == ["taskCompleted"]
    await restart(stage, tmp_path)
    state = await state_of(stage)
    assert (state.name, state.HasField("output")) == ("second", False)


# ---- rerun --------------------------------------------------------------------------------------


async def _ran(stage: Stage, worker: ScriptedWorker) -> None:
    """Let an instance end that had an activity, a timer, a child and two activities at once."""
    await start(stage)
    await worker.answer(await worker.turn(), task(1))
    await worker.done(await worker.task())
    await worker.answer(await worker.turn(), timer(2, START + 1))
    stage.clock.move_to(START + 1)
    await worker.answer(await worker.turn(), child(3, "c1"))
    await worker.answer(await worker.turn(), end(1))
    await worker.answer(await worker.turn(), task(4), task(5))
    first, second = await worker.task(), await worker.task()
    await worker.done(first)
    await worker.answer(await worker.turn())
    await worker.done(second)
    await worker.answer(await worker.turn(), end(6))


def _wanted(
    event_id: int, target: str = "again", source: str = "i1"
) -> wf.RerunWorkflowFromEventRequest:
    return wf.RerunWorkflowFromEventRequest(
        sourceInstanceID=source, eventID=event_id, newInstanceID=target
    )


@pytest.mark.row("I-WF3")
async def test_rerunning_an_activity_beside_another(stage: Stage) -> None:
    """I-WF3: what had no result yet runs again with the event; what was over stays, timers too."""
    worker = stage.worker()
    await _ran(stage, worker)
    request = _wanted(5)
    request.overwriteInput = True
    request.input.value = "new"
    await stage.workflows().rerun(request)
    again_ = [await worker.task(), await worker.task()]
    inputs = {item.activityRequest.taskId: item.activityRequest.input.value for item in again_}
    assert inputs == {4: "", 5: "new"}
    for item in again_:
        await worker.done(item)
    turn = await worker.turn()
    past = turn.workflowRequest.pastEvents
    assert [(e.WhichOneof("eventType"), e.eventId) for e in past if e.eventId > 0] == [
        ("taskScheduled", 1),
        ("timerCreated", 2),
        ("childWorkflowInstanceCreated", 3),
        ("taskScheduled", 4),
        ("taskScheduled", 5),
    ]
    marked = [e for e in past if e.taskScheduled.HasField("rerunParentInstanceInfo")]
    assert [(e.eventId, e.taskScheduled.rerunParentInstanceInfo.instanceID) for e in marked] == [
        (5, "i1")
    ]
    await worker.answer(turn, end(6))
    assert await status(stage, "again") == "COMPLETED"
    assert (await history(stage))[-1] == "executionCompleted"


@pytest.mark.row("I-WF3")
async def test_rerunning_a_child(stage: Stage, tmp_path: Path) -> None:
    """I-WF3: a child runs again under an id of its own, or a given one, with another input."""
    worker = stage.worker()
    await _ran(stage, worker)
    await stage.workflows().rerun(_wanted(3))
    turn = await worker.turn()
    assert turn.workflowRequest.instanceId == "again:0003"
    await worker.answer(turn, end(1))
    assert new_kinds(await worker.turn()) == ["childWorkflowInstanceCompleted"]
    request = _wanted(3, "other")
    request.newChildWorkflowInstanceID = "mine"
    request.overwriteInput = True
    request.input.value = "new"
    await stage.workflows().rerun(request)
    await restart(stage, tmp_path)
    worker = stage.worker()
    turns = [await worker.turn(), await worker.turn()]
    (turn,) = [turn for turn in turns if turn.workflowRequest.instanceId == "mine"]
    started = turn.workflowRequest.newEvents[1].executionStarted
    assert (started.input.value, started.parentInstance.workflowInstance.instanceId) == (
        "new",
        "other",
    )


@pytest.mark.row("I-WF3")
@pytest.mark.parametrize(
    ("event_id", "changes", "text", "code"),
    [
        (77, {}, "does not have history event with ID '77'", Code.NOT_FOUND),
        (
            6,
            {},
            (
                "target event '*protos.HistoryEvent_ExecutionCompleted' with ID '6' "
                "is not an event that can be rerun"
            ),
            Code.NOT_FOUND,
        ),
        (
            2,
            {"overwriteInput": True},
            "cannot write input to timer event '2'",
            Code.INVALID_ARGUMENT,
        ),
        (
            1,
            {"newChildWorkflowInstanceID": "x"},
            "cannot set new child workflow instance ID on activity event '1'",
            Code.INVALID_ARGUMENT,
        ),
        (
            1,
            {"newInstanceID": "i1"},
            "rerun workflow instance ID must be different from the original instance ID",
            Code.INVALID_ARGUMENT,
        ),
        (1, {"newInstanceID": "runs"}, "workflow 'runs' has already been created", Code(6)),
        (1, {"sourceInstanceID": "runs"}, "'runs' is not in a terminal state", Code(3)),
        (
            1,
            {"sourceInstanceID": "c1"},
            "'c1': cannot rerun from child-workflows",
            Code.INVALID_ARGUMENT,
        ),
        (
            1,
            {"sourceInstanceID": "none"},
            "workflow instance does not exist with ID 'none'",
            Code.NOT_FOUND,
        ),
    ],
)
async def test_what_cannot_be_rerun(
    stage: Stage, event_id: int, changes: dict[str, object], text: str, code: Code
) -> None:
    """I-WF3: a rerun that makes no sense is refused in the words of a real runtime."""
    worker = stage.worker()
    await begin(stage, worker, "runs")
    await _ran(stage, worker)
    request = _wanted(event_id)
    for name, value in changes.items():
        setattr(request, name, value)
    with pytest.raises(WorkflowProblem) as raised:
        await stage.workflows().rerun(request)
    assert (str(raised.value), raised.value.code) == (text, code)
    assert await worker.nothing()
