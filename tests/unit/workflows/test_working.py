"""Turns of workflows at a worker: how many at once, and what becomes of their answers."""

import asyncio
from collections.abc import Mapping
from typing import Any, cast

import pytest

from daprflow import Activity, DaprFlow, WorkflowContext
from daprflow.protocol import workflow_messages as pb
from daprflow.transports.grpc_work import TaskHub
from daprflow.workflows.activities import Activities
from daprflow.workflows.instances import Instances
from daprflow.workflows.options import WorkflowSettings
from daprflow.workflows.replay import Rules
from daprflow.workflows.working import Working
from tests.helpers.timing import eventually

LIMIT = 3
before: Activity[None, None] = Activity("", "before", type(None), type(None))
after: Activity[None, None] = Activity("", "after", type(None), type(None))


class Hub:
    """Takes answers when it may."""

    def __init__(self) -> None:
        self.may = asyncio.Event()
        self.at_once = self.most = 0
        self.answered: list[str] = []
        self.answers: list[Any] = []
        self.past: list[Any] = []

    async def complete_workflow(self, response: Any) -> None:
        """Take an answer."""
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        await self.may.wait()
        self.at_once -= 1
        self.answered.append(response.instanceId)
        self.answers.append(response)

    async def history(self, _instance: str) -> list[Any]:
        """Return what happened."""
        return self.past


def never() -> bool:
    """Fail: no stream is to be ended."""
    pytest.fail("a stream was ended")


def working() -> Working:
    """Return what does turns of an app with one workflow."""
    app = DaprFlow("app1")

    @app.workflow
    async def flow(ctx: WorkflowContext) -> None:
        pass

    @app.workflow
    async def changed(ctx: WorkflowContext) -> None:
        await ctx.call(after if ctx.patched("change") else before)

    app.freeze()
    plan = app.work()
    activities: Mapping[str, Any] = plan.activities
    instances = Instances(plan.workflows, Rules(), 10)
    return Working(instances, Activities(activities), WorkflowSettings(max_workflows=LIMIT))


def turn(instance: str, name: str = "flow") -> Any:
    """Return the first turn of an instance."""
    request = pb.WorkflowRequest(instanceId=instance, newEvents=beginning(name))
    return pb.WorkItem(workflowRequest=request, completionToken="t")


def beginning(name: str) -> list[Any]:
    """Return what the first turn of a workflow is given."""
    started = pb.HistoryEvent(eventId=-1, workflowStarted=pb.WorkflowStartedEvent())
    begun = pb.HistoryEvent(eventId=-1, executionStarted=pb.ExecutionStartedEvent(name=name))
    return [started, begun]


def second_turn(scheduled: str, *, left_out: bool) -> tuple[list[Any], Any]:
    """Return a history in which an activity was scheduled, and the turn in which it has ended."""
    step = pb.HistoryEvent(eventId=1, taskScheduled=pb.TaskScheduledEvent(name=scheduled))
    past = [*beginning("changed"), step]
    started = pb.HistoryEvent(eventId=-1, workflowStarted=pb.WorkflowStartedEvent())
    ended = pb.HistoryEvent(eventId=-1, taskCompleted=pb.TaskCompletedEvent(taskScheduledId=1))
    request = pb.WorkflowRequest(instanceId="w1", newEvents=[started, ended])
    if left_out:
        request.cachedHistory.eventCount = 2
    request.pastEvents.extend(past[2 if left_out else 0 :])
    return past, pb.WorkItem(workflowRequest=request, completionToken="t")


async def test_turns_are_limited() -> None:
    """No more turns are under way at once than the app says; the others come after them."""
    hub, work = Hub(), working()
    names = [f"w{number}" for number in range(20)]
    for name in names:
        work.take(turn(name), cast("TaskHub", hub), never)
    await eventually(lambda: hub.at_once == LIMIT)
    hub.may.set()
    await work.drain(10.0)
    assert hub.most == LIMIT
    assert hub.answered == names


@pytest.mark.row("FA-04")
async def test_an_answer_that_nobody_takes_in_time_is_given_up() -> None:
    """At the end of its time a worker waits for no sidecar."""
    hub, work = Hub(), working()
    work.take(turn("w1"), cast("TaskHub", hub), never)
    await eventually(lambda: hub.at_once == 1)
    await work.drain(0.01)
    assert hub.answered == []


@pytest.mark.parametrize("left_out", [False, True])
@pytest.mark.parametrize("scheduled", ["before", "after", "other"])
async def test_another_workers_answer_for_a_turn_counts(
    scheduled: str, caplog: pytest.LogCaptureFixture, *, left_out: bool
) -> None:
    """A late answer of older code that counts is no reason to stall newer code that still fits."""
    hub, work = Hub(), working()
    hub.may.set()
    work.take(turn("w1", "changed"), cast("TaskHub", hub), never)
    await eventually(lambda: len(hub.answers) == 1)
    assert hub.answers[0].actions[0].scheduleTask.name == "after"
    hub.past, item = second_turn(scheduled, left_out=left_out)
    work.take(item, cast("TaskHub", hub), never)
    await eventually(lambda: len(hub.answers) == 2)
    await work.drain(10.0)
    action = hub.answers[1].actions[0]
    if scheduled == "other":
        assert action.HasField("workflowVersionNotAvailable")
        assert caplog.text.count("history step 1 is activity 'other'") == 1
    else:
        assert action.completeWorkflow.workflowStatus == pb.ORCHESTRATION_STATUS_COMPLETED
        assert not caplog.records
