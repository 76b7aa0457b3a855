"""What clients are told of an instance."""

from collections.abc import Mapping

from daprflow.protocol import workflow_messages as wf
from daprflow.protocol.workflows import WorkflowStatus
from daprflow.sidecar.workflows.instance import Instance

LONG_AGO = -62_135_596_800
"""The first second of the year 1, which Go tells where there is no time."""
UNKNOWN = "UNKNOWN"
"""What the real runtime calls the status of a stalled instance."""
_PROPERTY = "dapr.workflow."

TERMINAL = frozenset(
    {
        wf.ORCHESTRATION_STATUS_COMPLETED,
        wf.ORCHESTRATION_STATUS_FAILED,
        wf.ORCHESTRATION_STATUS_TERMINATED,
        wf.ORCHESTRATION_STATUS_CANCELED,
    }
)
_NAMES: Mapping[int, str] = {
    wf.ORCHESTRATION_STATUS_RUNNING: "RUNNING",
    wf.ORCHESTRATION_STATUS_COMPLETED: "COMPLETED",
    wf.ORCHESTRATION_STATUS_CONTINUED_AS_NEW: "CONTINUED_AS_NEW",
    wf.ORCHESTRATION_STATUS_FAILED: "FAILED",
    wf.ORCHESTRATION_STATUS_CANCELED: "CANCELED",
    wf.ORCHESTRATION_STATUS_TERMINATED: "TERMINATED",
    wf.ORCHESTRATION_STATUS_PENDING: "PENDING",
    wf.ORCHESTRATION_STATUS_SUSPENDED: "SUSPENDED",
}


def status_of(state: wf.WorkflowState) -> WorkflowStatus:
    """Return a state as Dapr's own API tells it."""
    properties: dict[str, str] = {}
    for name, value in (
        ("custom_status", state.customStatus if state.HasField("customStatus") else None),
        ("input", state.input if state.HasField("input") else None),
        ("output", state.output if state.HasField("output") else None),
    ):
        if value is not None:
            properties[f"{_PROPERTY}{name}"] = value.value
    if state.HasField("failureDetails"):
        failed = state.failureDetails
        properties[f"{_PROPERTY}failure.error_type"] = failed.errorType
        properties[f"{_PROPERTY}failure.error_message"] = failed.errorMessage
        if failed.HasField("stackTrace"):
            properties[f"{_PROPERTY}failure.stack_trace"] = failed.stackTrace.value
    return WorkflowStatus(
        instance_id=state.instanceId,
        workflow_name=state.name,
        created_at=state.createdTimestamp.ToJsonString(),
        last_updated_at=state.lastUpdatedTimestamp.ToJsonString(),
        runtime_status=_NAMES.get(state.workflowStatus, UNKNOWN),
        properties=dict(sorted(properties.items())),
    )


def describe(instance: Instance, *, payloads: bool) -> wf.WorkflowState:
    """Return the state of an instance.

    Args:
        instance: what is described.
        payloads: whether input, output, custom status and failure are told, too.
    """
    execution = instance.execution
    state = wf.WorkflowState(instanceId=instance.row.instance_id, workflowStatus=instance.status)
    state.createdTimestamp.seconds = LONG_AGO
    state.lastUpdatedTimestamp.seconds = LONG_AGO
    if execution.started is not None and execution.created is not None:
        state.name = execution.started.name
        state.createdTimestamp.CopyFrom(execution.created)
        if execution.last is not None:
            state.lastUpdatedTimestamp.CopyFrom(execution.last)
    if execution.first is not None:
        state.startedAt.CopyFrom(execution.first)
    if execution.version:
        state.version.value = execution.version
    if payloads:
        _tell_payloads(instance, state)
    return state


def with_parent(instance: Instance, state: wf.WorkflowState) -> wf.WorkflowState:
    """Add what started an instance, where a workflow did: calls that wait tell it."""
    start = instance.start
    if start is not None and start.HasField("parentInstance"):
        parent = start.parentInstance
        state.parentInstanceId.value = parent.workflowInstance.instanceId
        if parent.appID:
            state.parentAppId.value = parent.appID
    return state


def _tell_payloads(instance: Instance, state: wf.WorkflowState) -> None:
    started, completed = instance.execution.started, instance.execution.completed
    if started is not None and started.HasField("input"):
        state.input.CopyFrom(started.input)
    if instance.row.custom is not None:
        state.customStatus.value = instance.row.custom
    if completed is not None:
        if completed.HasField("result"):
            state.output.CopyFrom(completed.result)
        if completed.HasField("failureDetails"):
            state.failureDetails.CopyFrom(completed.failureDetails)
