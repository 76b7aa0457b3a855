"""Turns of workflows at a worker: how many at once, and what becomes of their answers."""

import asyncio
from collections.abc import Mapping
from typing import Any, cast

import pytest

from daprflow import DaprFlow, WorkflowContext
from daprflow.protocol import workflow_messages as pb
from daprflow.transports.grpc_work import TaskHub
from daprflow.workflows.activities import Activities
from daprflow.workflows.instances import Instances
from daprflow.workflows.options import WorkflowSettings
from daprflow.workflows.replay import Rules
from daprflow.workflows.working import Working
from tests.helpers.timing import eventually

LIMIT = 3


class Hub:
    """Takes answers when it may."""

    def __init__(self) -> None:
        self.may = asyncio.Event()
        self.at_once = self.most = 0
        self.answered: list[str] = []

    async def complete_workflow(self, response: Any) -> None:
        """Take an answer."""
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        await self.may.wait()
        self.at_once -= 1
        self.answered.append(response.instanceId)


def working() -> Working:
    """Return what does turns of an app with one workflow."""
    app = DaprFlow("app1")

    @app.workflow
    async def flow(ctx: WorkflowContext) -> None:
        pass

    app.freeze()
    plan = app.work()
    activities: Mapping[str, Any] = plan.activities
    instances = Instances(plan.workflows, Rules(), 10)
    return Working(instances, Activities(activities), WorkflowSettings(max_workflows=LIMIT))


def turn(instance: str) -> Any:
    """Return the first turn of an instance."""
    started = pb.HistoryEvent(eventId=-1, workflowStarted=pb.WorkflowStartedEvent())
    begun = pb.HistoryEvent(eventId=-1, executionStarted=pb.ExecutionStartedEvent(name="flow"))
    request = pb.WorkflowRequest(instanceId=instance, newEvents=[started, begun])
    return pb.WorkItem(workflowRequest=request, completionToken="t")


async def test_turns_are_limited() -> None:
    """No more turns are under way at once than the app says; the others come after them."""
    hub, work = Hub(), working()
    names = [f"w{number}" for number in range(20)]
    for name in names:
        work.take(turn(name), cast("TaskHub", hub), lambda: None)
    await eventually(lambda: hub.at_once == LIMIT)
    hub.may.set()
    await work.drain(10.0)
    assert hub.most == LIMIT
    assert hub.answered == names


@pytest.mark.row("FA-04")
async def test_an_answer_that_nobody_takes_in_time_is_given_up() -> None:
    """At the end of its time a worker waits for no sidecar."""
    hub, work = Hub(), working()
    work.take(turn("w1"), cast("TaskHub", hub), lambda: None)
    await eventually(lambda: hub.at_once == 1)
    await work.drain(0.01)
    assert hub.answered == []
