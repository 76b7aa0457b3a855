"""Row I-WF4 of the regression pack: what goes from one execution of an instance to the next.

That events outlive a restart between two executions is in `test_hub.py`.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from daprflow.protocol import workflow_messages as wf
from tests.helpers.scripted_worker import Stage, again, child, end, task, timer
from tests.helpers.workflow_rows import (
    START,
    history,
    new_kinds,
    opened,
    raise_event,
    reply,
    restart,
    start,
    state_of,
    status,
    waiting_for,
)

BURST = 25
"""More than the 20 rounds that a real runtime makes at once."""
TRACE = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """An engine."""
    async with opened(tmp_path) as stage:
        yield stage


def names_in(item: wf.WorkItem) -> list[str]:
    """Return the payloads of the events from outside in a turn."""
    events = item.workflowRequest.newEvents
    return [event.eventRaised.input.value for event in events if event.HasField("eventRaised")]


@pytest.mark.row("I-WF4")
@pytest.mark.parametrize("keep", [True, False], ids=["kept", "dropped"])
async def test_events_that_nobody_read(stage: Stage, tmp_path: Path, *, keep: bool) -> None:
    """I-WF4: events that were not read go on where the workflow says so, before later ones."""
    worker = stage.worker()
    await start(stage)
    await worker.answer(await worker.turn(), waiting_for(1, "go"))
    for number in range(4):
        await raise_event(stage, "i1", "go", str(number))
    turn = await worker.turn()
    await raise_event(stage, "i1", "go", "late")
    unread = [e for e in turn.workflowRequest.newEvents if e.HasField("eventRaised")][1:]
    following = again(2)
    following.completeWorkflow.carryoverEvents.extend(unread if keep else ())
    await worker.answer(turn, following)
    await restart(stage, tmp_path)
    turn = await stage.worker().turn()
    assert names_in(turn) == [*(["1", "2", "3"] if keep else []), "late"]
    assert new_kinds(turn)[0] == "executionStarted"


@pytest.mark.row("I-WF4", "R-23")
async def test_a_burst_of_events_over_rounds(stage: Stage, tmp_path: Path) -> None:
    """I-WF4: 25 events at once, one of them a round, are each seen once and in order."""
    worker = stage.worker()
    await start(stage)
    await worker.answer(await worker.turn(), waiting_for(1, "go"))
    for number in range(BURST):
        await raise_event(stage, "i1", "go", str(number))
    seen: list[str] = []
    for round_ in range(BURST):
        turn = await worker.turn()
        raised = [e for e in turn.workflowRequest.newEvents if e.HasField("eventRaised")]
        seen.append(raised[0].eventRaised.input.value)
        following = again(2) if round_ < BURST - 1 else end(2)
        if round_ < BURST - 1:
            following.completeWorkflow.carryoverEvents.extend(raised[1:])
        await worker.answer(turn, following)
        if round_ == BURST // 2:
            await restart(stage, tmp_path)
            worker = stage.worker()
    assert seen == [str(number) for number in range(BURST)]
    assert await status(stage) == "COMPLETED"
    assert (await history(stage)).count("eventRaised") == 1


@pytest.mark.row("I-WF4")
async def test_rounds_without_end(stage: Stage) -> None:
    """I-WF4: an instance may begin anew far more often than 20 times without a pause."""
    worker = stage.worker()
    await start(stage)
    for round_ in range(60):
        await worker.answer(await worker.turn(), again(1, str(round_)) if round_ < 59 else end(1))
    assert await status(stage) == "COMPLETED"
    assert len(await history(stage)) == 3


@pytest.mark.row("I-WF4")
async def test_the_custom_status_is_set_anew(stage: Stage, tmp_path: Path) -> None:
    """I-WF4: each turn sets the custom status, and one that says nothing empties it."""
    worker = stage.worker()
    await start(stage)
    await reply(stage, await worker.turn(), again(1), custom='"first"')
    assert (await state_of(stage)).customStatus.value == '"first"'
    await reply(stage, await worker.turn(), waiting_for(1, "go"))
    assert not (await state_of(stage)).HasField("customStatus")
    await raise_event(stage, "i1", "go")
    await reply(stage, await worker.turn(), custom="")
    await restart(stage, tmp_path)
    assert not (await state_of(stage)).HasField("customStatus")


@pytest.mark.row("I-WF4", "R-09")
async def test_each_round_has_a_trace_of_its_own(stage: Stage) -> None:
    """I-WF4: where an instance is traced each execution has a trace of its own, with its work."""
    worker = stage.worker()
    request = wf.CreateInstanceRequest(instanceId="i1", name="w")
    request.parentTraceContext.traceParent = TRACE
    await stage.workflows().start(request)
    traces: list[str] = []
    for round_ in range(3):
        turn = await worker.turn()
        started = turn.workflowRequest.newEvents[1].executionStarted
        traces.append(started.parentTraceContext.traceParent)
        assert started.workflowSpanID.value == traces[-1].split("-")[2]
        await worker.answer(turn, task(1))
        activity = await worker.task()
        assert activity.activityRequest.parentTraceContext.traceParent == traces[-1]
        await worker.done(activity)
        await worker.answer(await worker.turn(), again(2) if round_ < 2 else end(2))
    assert traces[0] == TRACE
    assert len({trace[3:35] for trace in traces}) == 3
    await start(stage, "i2")
    await worker.answer(await worker.turn(), again(1))
    started = (await worker.turn()).workflowRequest.newEvents[1].executionStarted
    assert not started.HasField("parentTraceContext")


@pytest.mark.row("I-WF4", "R-13")
async def test_what_an_earlier_round_began_is_over(stage: Stage) -> None:
    """I-WF4: timers, activities and children of one execution say nothing to the next."""
    worker = stage.worker()
    await start(stage)
    await worker.answer(await worker.turn(), task(1), timer(2, START + 5), child(3, "c1"), again(4))
    turn = await worker.turn()
    assert new_kinds(turn) == ["executionStarted"]
    await worker.answer(turn, timer(2, START + 60))
    stage.clock.move_to(START + 10)
    assert await worker.nothing()
    assert await status(stage, "c1") == ""
    stage.clock.move_to(START + 60)
    assert new_kinds(await worker.turn()) == ["timerFired"]


@pytest.mark.row("I-WF4")
async def test_a_child_that_begins_anew_has_its_parent(stage: Stage) -> None:
    """I-WF4: a child that continues as new tells its parent when its last execution ends."""
    worker = stage.worker()
    await start(stage)
    await worker.answer(await worker.turn(), child(1, "c1"))
    await worker.answer(await worker.turn(), again(1))
    turn = await worker.turn()
    assert turn.workflowRequest.newEvents[0].router.sourceAppID == "app1"
    await worker.answer(turn, end(1, "last"))
    (heard,) = (await worker.turn()).workflowRequest.newEvents[1:]
    assert heard.childWorkflowInstanceCompleted.result.value == "last"


@pytest.mark.row("I-WF4")
@pytest.mark.parametrize("resumed", [True, False], ids=["resumed", "paused"])
async def test_a_pause_that_comes_with_the_end_of_a_round(stage: Stage, *, resumed: bool) -> None:
    """I-WF4: who asks an instance to pause as it begins anew finds the next execution paused."""
    worker = stage.worker()
    await start(stage)
    await worker.answer(await worker.turn(), task(1))
    activity = await worker.task()
    await stage.workflows().suspend("i1", "", wait=False)
    if resumed:
        await stage.workflows().resume("i1", "", wait=False)
    await worker.done(activity)
    turn = await worker.turn()
    if "taskCompleted" not in new_kinds(turn):
        await worker.answer(turn)
        turn = await worker.turn()
    await worker.answer(turn, again(2))
    await worker.answer(await worker.turn())
    assert await status(stage) == ("RUNNING" if resumed else "SUSPENDED")
