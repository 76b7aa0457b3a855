"""What the tests of the workflow rows of the regression pack do again and again."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from daprflow.protocol import workflow_messages as wf
from daprflow.sidecar.clock import VirtualClock
from tests.helpers.scripted_worker import ScriptedWorker, Stage, open_stage, timer

START = 1_700_000_000.0
"""When the clock of these tests begins, in seconds since the epoch."""


@asynccontextmanager
async def opened(root: Path) -> AsyncIterator[Stage]:
    """Open an engine on the files in ``root``, and close it whatever was opened on them since."""
    stage = await open_stage(root, VirtualClock(START))
    try:
        yield stage
    finally:
        await stage.engine.close()


async def restart(stage: Stage, root: Path) -> None:
    """Close the engine, and go on with another one on the same files."""
    await stage.engine.close()
    again = await open_stage(root, stage.clock)
    stage.engine, stage.hub = again.engine, again.hub


async def start(stage: Stage, instance_id: str = "i1", name: str = "w", **options: Any) -> str:
    """Start an instance."""
    request = wf.CreateInstanceRequest(instanceId=instance_id, name=name, **options)
    return await stage.workflows().start(request)


async def raise_event(stage: Stage, instance_id: str, name: str, data: str = "1") -> None:
    """Send an event."""
    await stage.workflows().raise_event(instance_id, name, wf.StringValue(value=data))


async def terminate(stage: Stage, instance_id: str = "i1", *, recursive: bool = True) -> None:
    """End an instance."""
    output = wf.StringValue(value="ended")
    await stage.workflows().terminate(instance_id, output, recursive=recursive, wait=False)


async def state_of(stage: Stage, instance_id: str = "i1", app_id: str = "app1") -> wf.WorkflowState:
    """Return the state of an instance that is there."""
    state = await stage.workflows(app_id).get(instance_id, payloads=True)
    assert state is not None
    return state


async def status(stage: Stage, instance_id: str = "i1", app_id: str = "app1") -> str:
    """Return the status of an instance, empty where there is none."""
    state = await stage.workflows(app_id).get(instance_id, payloads=True)
    if state is None:
        return ""
    name: str = wf.OrchestrationStatus.Name(state.workflowStatus)
    return name.removeprefix("ORCHESTRATION_STATUS_")


def kinds_of(events: Sequence[wf.HistoryEvent]) -> list[str]:
    """Name what happened."""
    return [event.WhichOneof("eventType") or "" for event in events]


def new_kinds(item: wf.WorkItem) -> list[str]:
    """Name the new events of a turn, without its start."""
    names = kinds_of(item.workflowRequest.newEvents)
    assert names[0] == "workflowStarted"
    return names[1:]


async def history(stage: Stage, instance_id: str = "i1", app_id: str = "app1") -> list[str]:
    """Name what happened to an instance."""
    return kinds_of(await stage.workflows(app_id).history(instance_id))


async def reply(
    stage: Stage,
    item: wf.WorkItem,
    *actions: wf.WorkflowAction,
    patches: Sequence[str] = (),
    version: str = "",
    custom: str | None = None,
) -> None:
    """Answer a turn with more than actions."""
    response = wf.WorkflowResponse(
        instanceId=item.workflowRequest.instanceId,
        actions=actions,
        completionToken=item.completionToken,
    )
    if patches or version:
        response.version.patches.extend(patches)
        if version:
            response.version.name = version
    if custom is not None:
        response.customStatus.value = custom
    await stage.hub.steps.complete_turn("app1", response)


async def fail(stage: Stage, item: wf.WorkItem, app_id: str = "app1") -> None:
    """Answer that an activity failed."""
    request = item.activityRequest
    response = wf.ActivityResponse(
        instanceId=request.workflowInstance.instanceId,
        taskId=request.taskId,
        completionToken=item.completionToken,
    )
    response.failureDetails.errorType = "E"
    response.failureDetails.errorMessage = "as asked"
    await stage.hub.steps.complete_task(app_id, response)


def failed(number: int) -> wf.WorkflowAction:
    """Return an action that ends the execution as failed."""
    action = wf.WorkflowAction(id=number)
    action.completeWorkflow.workflowStatus = wf.ORCHESTRATION_STATUS_FAILED
    action.completeWorkflow.failureDetails.errorType = "E"
    action.completeWorkflow.failureDetails.errorMessage = "as asked"
    return action


def waiting_for(number: int, name: str) -> wf.WorkflowAction:
    """Return the action of a wait for an event that has no end."""
    action = timer(number, START)
    action.createTimer.fireAt.FromJsonString("9999-12-31T23:59:59.999999999Z")
    action.createTimer.externalEvent.name = name
    return action


async def begin(stage: Stage, worker: ScriptedWorker, instance_id: str = "i1") -> None:
    """Start an instance that waits for an event ``go``."""
    await start(stage, instance_id)
    await worker.answer(await worker.turn(), waiting_for(1, "go"))
