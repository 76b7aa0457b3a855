"""A worker of workflows that a test moves item by item, without a socket."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from daprflow.protocol import workflow_messages as wf
from daprflow.sidecar.clock import VirtualClock
from daprflow.sidecar.components.base import StateStore
from daprflow.sidecar.engine import Engine
from daprflow.sidecar.workflows.component_home import ComponentHome
from daprflow.sidecar.workflows.host import WorkStream
from daprflow.sidecar.workflows.hub import WorkflowHub
from daprflow.sidecar.workflows.management import Workflows

PATIENCE = 5.0
APPS = ("app1", "app2")


@dataclass(slots=True)
class Stage:
    """An engine and the workflows of its apps.

    Attributes:
        engine: on a clock that tests move.
        hub: has the instances.
        store: where the apps keep their workflows; None for the engine's own tables.
    """

    engine: Engine
    clock: VirtualClock
    hub: WorkflowHub
    store: StateStore | None = None

    def workflows(self, app_id: str = "app1") -> Workflows:
        """Return what clients can do with an app's workflows."""
        return self.hub.of_app(app_id, "default")

    async def come(self, app_id: str) -> None:
        """Let an app have its workflows in the state store."""
        assert self.store is not None
        home = ComponentHome("statestore", self.store, app_id, "default")
        await self.hub.homes.attach(app_id, home)

    def worker(
        self,
        app_id: str = "app1",
        *,
        stateful: bool = False,
        limit: int = -1,
        paged: bool = False,
    ) -> "ScriptedWorker":
        """Connect a worker."""
        stream = WorkStream(stateful=stateful, limit=limit, paged=paged)
        return ScriptedWorker(self.hub, app_id, stream)


async def open_stage(
    root: Path, clock: VirtualClock | None = None, store: StateStore | None = None
) -> Stage:
    """Open an engine whose files are in ``root``; its apps have their workflows in ``store``."""
    clock = clock or VirtualClock(1_700_000_000.0)
    engine = Engine(clock, root, root)
    stage = Stage(engine, clock, await engine.workflows(), store)
    for app_id in APPS if store is not None else ():
        await stage.come(app_id)
    return stage


class ScriptedWorker:
    """Takes items and answers them as a test says."""

    def __init__(self, hub: WorkflowHub, app_id: str, stream: WorkStream) -> None:
        self._hub = hub
        self._app_id = app_id
        self._stream = stream
        self._host = hub.host(app_id)
        self._ahead: list[wf.WorkItem] = []
        self._host.attach(stream)

    def leave(self) -> None:
        """Break off the stream."""
        self._host.detach(self._stream)

    async def take(self) -> wf.WorkItem:
        """Return the next item."""
        if self._ahead:
            return self._ahead.pop()
        data = await asyncio.wait_for(self._host.next(self._stream), PATIENCE)
        return wf.WorkItem.FromString(data)

    async def turn(self) -> wf.WorkItem:
        """Return the next item, which is a turn of a workflow."""
        item = await self.take()
        assert item.HasField("workflowRequest"), item
        return item

    async def task(self) -> wf.WorkItem:
        """Return the next item, which is an activity."""
        item = await self.take()
        assert item.HasField("activityRequest"), item
        return item

    async def nothing(self, rounds: int = 50) -> bool:
        """Tell whether there is nothing to do, after the engine had its time."""
        if self._ahead:
            return False
        taking = asyncio.create_task(self._host.next(self._stream))
        for _ in range(rounds):
            await asyncio.sleep(0.001)
            if taking.done():
                self._ahead.append(wf.WorkItem.FromString(taking.result()))
                return False
        taking.cancel()
        await asyncio.wait({taking})
        return True

    async def answer(self, item: wf.WorkItem, *actions: wf.WorkflowAction) -> None:
        """Answer a turn."""
        response = wf.WorkflowResponse(
            instanceId=item.workflowRequest.instanceId,
            actions=actions,
            completionToken=item.completionToken,
        )
        await self._hub.steps.complete_turn(self._app_id, response)

    async def done(self, item: wf.WorkItem, result: str = "1", token: str | None = None) -> None:
        """Answer an activity."""
        request = item.activityRequest
        response = wf.ActivityResponse(
            instanceId=request.workflowInstance.instanceId,
            taskId=request.taskId,
            completionToken=item.completionToken if token is None else token,
        )
        response.result.value = result
        await self._hub.steps.complete_task(self._app_id, response)


def task(number: int, name: str = "a", app_id: str = "") -> wf.WorkflowAction:
    """Return an action that schedules an activity."""
    action = wf.WorkflowAction(id=number)
    action.scheduleTask.name = name
    if app_id:
        action.router.targetAppID = app_id
    return action


def timer(number: int, at: float) -> wf.WorkflowAction:
    """Return an action that sets a timer."""
    action = wf.WorkflowAction(id=number)
    action.createTimer.fireAt.FromNanoseconds(round(at * 1e9))
    return action


def child(number: int, instance_id: str, app_id: str = "") -> wf.WorkflowAction:
    """Return an action that starts a child workflow."""
    action = wf.WorkflowAction(id=number)
    action.createChildWorkflow.name = "child"
    action.createChildWorkflow.instanceId = instance_id
    if app_id:
        action.router.targetAppID = app_id
    return action


def end(number: int, result: str = "2") -> wf.WorkflowAction:
    """Return an action that ends the execution."""
    action = wf.WorkflowAction(id=number)
    action.completeWorkflow.workflowStatus = wf.ORCHESTRATION_STATUS_COMPLETED
    action.completeWorkflow.result.value = result
    return action


def again(number: int, result: str = "2") -> wf.WorkflowAction:
    """Return an action that begins the next execution."""
    action = end(number, result)
    action.completeWorkflow.workflowStatus = wf.ORCHESTRATION_STATUS_CONTINUED_AS_NEW
    return action
