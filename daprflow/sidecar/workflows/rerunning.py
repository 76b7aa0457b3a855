"""Running an instance again from one of its events; the refusals are the real runtime's."""

import asyncio
from typing import TYPE_CHECKING
from uuid import uuid4

from daprflow.protocol import workflow_messages as wf
from daprflow.protocol.grpc_codes import Code
from daprflow.sidecar.workflows.description import TERMINAL
from daprflow.sidecar.workflows.fork import Fork, Rerun, fork
from daprflow.sidecar.workflows.instance import Instance
from daprflow.sidecar.workflows.keeping import kept
from daprflow.sidecar.workflows.problems import WorkflowProblem
from daprflow.sidecar.workflows.store import Changes
from daprflow.sidecar.workflows.turn import Author, child_start

if TYPE_CHECKING:
    from daprflow.sidecar.workflows.hub import WorkflowHub

_INVALID = Code.INVALID_ARGUMENT


def rerun_of(request: wf.RerunWorkflowFromEventRequest) -> Rerun:
    """Return what a client asks for; where it names no new instance, one is made up.

    Raises:
        WorkflowProblem: it names no instance that ran, or the same one twice.
    """
    source, target = request.sourceInstanceID, request.newInstanceID or str(uuid4())
    if not source:
        raise WorkflowProblem("rerun workflow source instance ID is required", _INVALID)
    if source == target:
        text = "rerun workflow instance ID must be different from the original instance ID"
        raise WorkflowProblem(text, _INVALID)
    named = request.HasField("newChildWorkflowInstanceID")
    return Rerun(
        source,
        target,
        request.eventID,
        request.overwriteInput,
        request.input if request.HasField("input") else None,
        request.newChildWorkflowInstanceID if named else None,
    )


async def begin_again(hub: "WorkflowHub", app_id: str, rerun: Rerun) -> None:
    """Begin the new instance, and return when it is kept.

    Raises:
        WorkflowProblem: the one that ran is not over, or a child workflow, or has no such event;
            or the new id is in use.
        ComponentError: it could not be written.
    """
    held = await hub.homes.fetch((app_id, rerun.source), (app_id, rerun.target))
    found = _rerunnable(hub.find(app_id, rerun.source), rerun.source)
    await found.settled()
    made = fork(found.history(), rerun, hub.clock.now())
    if hub.find(app_id, rerun.target) is not None:
        text = f"workflow '{rerun.target}' has already been created"
        raise WorkflowProblem(text, Code.ALREADY_EXISTS)
    del held
    await _adopt(hub, Author(app_id, rerun.target, hub.clock.now()), made, found.row.received)


def _rerunnable(found: Instance | None, instance_id: str) -> Instance:
    if found is None:
        text = f"workflow instance does not exist with ID '{instance_id}'"
        raise WorkflowProblem(text, Code.NOT_FOUND)
    if found.status not in TERMINAL:
        raise WorkflowProblem(f"'{instance_id}' is not in a terminal state", _INVALID)
    if found.start is not None and found.start.HasField("parentInstance"):
        text = f"'{instance_id}': cannot rerun from child-workflows"
        raise WorkflowProblem(text, _INVALID)
    return found


async def _adopt(hub: "WorkflowHub", author: Author, made: Fork, received: bytes | None) -> None:
    """Keep an instance that begins with a history, and do what has no result in it."""
    app_id, changes = author.app_id, Changes()
    instance = hub.adopt(app_id, author.instance_id, made.history, changes, received)
    children = [
        hub.admit(
            event.router.targetAppID or app_id,
            child_start(event, instance.start or wf.ExecutionStartedEvent(), author),
            changes,
            instance.passed_on(event),
        )
        for event in made.again
        if event.HasField("childWorkflowInstanceCreated")
    ]
    future = hub.commit(instance, changes)

    def begin(done: asyncio.Future[None]) -> None:
        if done.cancelled() or done.exception() is not None:
            for each in children:
                hub.forget(each)
            return
        for event in made.again:
            if event.HasField("taskScheduled"):
                hub.begin_task(instance, event)
        for each in (instance, *children):
            hub.pump(each)

    future.add_done_callback(begin)
    await kept(future)
