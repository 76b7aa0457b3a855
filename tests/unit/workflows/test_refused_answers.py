"""Answers that a sidecar does not take, with whatever status: none is lost, nothing runs twice."""

import asyncio
from typing import Any

import grpc
import pytest

from daprflow import DaprFlow, WorkflowContext
from daprflow.protocol import workflow_messages as wf
from daprflow.settings import Settings
from daprflow.transports import grpc_work
from daprflow.workflows import answering
from tests.helpers.scripted_hub import Refusal, ScriptedHub, scripted_hub
from tests.helpers.timing import eventually

Code = grpc.StatusCode
CODES = [code for code in Code if code is not Code.OK]
WITHIN = 30.0


@pytest.fixture(autouse=True)
def in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have answers sent again at once, and a silent sidecar be given up soon."""
    monkeypatch.setattr(answering, "PAUSE", 0.0)
    monkeypatch.setattr(grpc_work, "COMPLETING", 0.2)


def shop(port: int, ran: list[str]) -> DaprFlow:
    """Return an app with a workflow and an activity, which say that they ran."""
    app = DaprFlow("app1", settings=Settings(grpc_endpoint=f"127.0.0.1:{port}", health_timeout=0))

    @app.activity
    async def work() -> str:
        ran.append("work")
        return "done"

    @app.workflow
    async def flow(ctx: WorkflowContext) -> str:
        ran.append("flow")
        return "done"

    return app


def item(kind: str) -> wf.WorkItem:
    """Return something to do."""
    if kind == "activity":
        request = wf.ActivityRequest(name="work", taskId=1, taskExecutionId="e1")
        request.workflowInstance.instanceId = "w1"
        return wf.WorkItem(activityRequest=request, completionToken="t1")
    started = wf.HistoryEvent(eventId=-1, workflowStarted=wf.WorkflowStartedEvent())
    begun = wf.HistoryEvent(eventId=-1, executionStarted=wf.ExecutionStartedEvent(name="flow"))
    turn = wf.WorkflowRequest(instanceId="w1", newEvents=[started, begun])
    return wf.WorkItem(workflowRequest=turn, completionToken="t1")


def refusing(hub: ScriptedHub, refusal: Refusal | None, *, once: bool) -> None:
    """Have the hub refuse the first answer, or all that come while its first stream lasts."""

    async def refuse(number: int) -> Refusal | None:
        if number > 1 if once else hub.opened > 1:
            return None
        if refusal is None:
            await asyncio.Event().wait()
        return refusal

    hub.refuse = refuse


@pytest.mark.parametrize("kind", ["activity", "turn"])
@pytest.mark.parametrize("code", [*CODES, None])
async def test_an_answer_is_never_lost(code: grpc.StatusCode | None, kind: str) -> None:
    """Whatever an answer is refused with, or if it is left hanging, the sidecar is made to ask."""
    ran: list[str] = []
    async with asyncio.timeout(WITHIN), scripted_hub() as (hub, port):
        app = shop(port, ran)
        refusing(hub, None if code is None else (code, "as the script says"), once=False)
        async with app.lifespan():
            await hub.items.put(item(kind))
            await eventually(lambda: hub.opened > 1)
            await hub.items.put(item(kind))
            refused = len(hub.answers)
            await eventually(lambda: len(hub.answers) > refused)
            assert hub.opened == 2
    last: Any = hub.answers[-1]
    assert last.instanceId == "w1"
    if kind == "activity":
        assert (last.result.value, ran) == ('"done"', ["work"])
    else:
        assert last.actions[0].completeWorkflow.result.value == '"done"'


async def test_many_lost_answers_are_told_once(caplog: pytest.LogCaptureFixture) -> None:
    """Of all answers that a sidecar does not take, the log names the first one."""
    async with asyncio.timeout(WITHIN), scripted_hub() as (hub, port):
        app = shop(port, [])
        refusing(hub, (Code.CANCELLED, "dropped"), once=False)
        async with app.lifespan():
            for number in range(20):
                asked = item("activity")
                asked.activityRequest.taskId = number
                await hub.items.put(asked)
            await eventually(lambda: hub.opened > 1)
            await hub.items.put(item("turn"))
            await eventually(lambda: isinstance(hub.answers[-1], wf.WorkflowResponse))
    told = [each for each in caplog.messages if "did not take an answer" in each]
    assert len(told) == 1
    assert "workflow 'w1' (dropped)" in told[0]


@pytest.mark.parametrize("code", [*CODES, None])
async def test_a_refusal_that_passes_disturbs_nothing(code: grpc.StatusCode | None) -> None:
    """An answer that is refused once is sent again on its own; the stream goes on."""
    ran: list[str] = []
    async with asyncio.timeout(WITHIN), scripted_hub() as (hub, port):
        app = shop(port, ran)
        refusing(hub, None if code is None else (code, "as the script says"), once=True)
        async with app.lifespan():
            await hub.items.put(item("activity"))
            await eventually(lambda: len(hub.answers) == 2)
            await hub.items.put(item("turn"))
            await eventually(lambda: len(hub.answers) == 3)
    assert hub.opened == 1
    assert hub.answers[0] == hub.answers[1]
    assert ran == ["work", "flow"]


async def test_an_answer_that_nobody_waits_for_is_left() -> None:
    """A runtime that does not know the instance any more is not asked twice, nor disturbed."""
    async with asyncio.timeout(WITHIN), scripted_hub() as (hub, port):
        app = shop(port, [])
        refusing(hub, (Code.UNKNOWN, "unknown instance ID/task ID combo: w1/1"), once=True)
        async with app.lifespan():
            await hub.items.put(item("activity"))
            await eventually(lambda: len(hub.answers) == 1)
            await hub.items.put(item("turn"))
            await eventually(lambda: len(hub.answers) == 2)
    assert hub.opened == 1
    assert isinstance(hub.answers[1], wf.WorkflowResponse)


@pytest.mark.parametrize("kind", ["activity", "turn"])
async def test_only_what_is_too_large_fails(kind: str) -> None:
    """Of one status that stands for several limits, the text tells which answer can never fit."""
    text = "SERVER: Received message larger than max (5000000 vs. 4194304)"
    async with asyncio.timeout(WITHIN), scripted_hub() as (hub, port):
        app = shop(port, [])
        refusing(hub, (Code.RESOURCE_EXHAUSTED, text), once=True)
        async with app.lifespan():
            await hub.items.put(item(kind))
            await eventually(lambda: len(hub.answers) == 2)
    last: Any = hub.answers[-1]
    if kind == "activity":
        assert "more than the sidecar takes" in last.failureDetails.errorMessage
    else:
        failure = last.actions[0].completeWorkflow.failureDetails
        assert "more than the sidecar takes" in failure.errorMessage
