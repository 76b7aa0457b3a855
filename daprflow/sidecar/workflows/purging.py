"""Which instances a purge takes; the refusals are the real runtime's."""

from daprflow.protocol import workflow_messages as wf
from daprflow.sidecar.workflows.instance import Instance
from daprflow.sidecar.workflows.problems import NoInstance, WorkflowProblem
from daprflow.sidecar.workflows.reuse import Find

NOT_COMPLETED = "orchestration has not yet completed"


def refuse_stalled(found: Instance) -> None:
    """Let nothing happen to an instance that waits for another worker, but to be purged by force.

    Raises:
        WorkflowProblem: it does.
    """
    if found.parked:
        text = f"failed to invoke method for workflow '{found.row.instance_id}': actor is stalled"
        raise WorkflowProblem(text)


def doomed_alone(found: Instance | None, *, force: bool) -> Instance:
    """Return an instance that may be purged.

    Raises:
        WorkflowProblem: there is none; or it is not over, or stalled, and nobody forces it.
    """
    if found is None:
        raise NoInstance
    if not force:
        refuse_stalled(found)
        if found.execution.completed is None:
            raise WorkflowProblem(NOT_COMPLETED)
    return found


def doomed_tree(found: Instance | None, find: Find, *, force: bool) -> list[Instance]:
    """Return an instance that may be purged, with every child workflow below it.

    Raises:
        WorkflowProblem: there is none, or one of them is not over and nobody forces it.
    """
    if found is None:
        raise NoInstance("failed to fetch workflow state: ")
    if found.status == wf.ORCHESTRATION_STATUS_PENDING:
        raise NoInstance  # the real runtime looks at histories alone, and this one has none
    doomed: list[Instance] = []
    _doom(found, find, doomed, force=force, doing="")
    return doomed


def _doom(
    instance: Instance, find: Find, doomed: list[Instance], *, force: bool, doing: str
) -> None:
    if not force and instance.execution.completed is None:
        raise WorkflowProblem(f"{doing}{NOT_COMPLETED}")
    doomed.append(instance)
    for child in instance.execution.descended.values():
        found = find(child.app_id or instance.row.app_id, child.instance_id)
        if found is not None and all(each.key != found.key for each in doomed):
            below = f"{doing}failed to purge child workflow: "
            _doom(found, find, doomed, force=force, doing=below)
