"""Dapr's errors about workflows."""

from daprflow.protocol.fault import Fault


def not_found(instance_id: str, error: str = "") -> Fault:
    """Return the fault of an instance that is not there; the runtime's text ends as Go's does."""
    scar = f"%!(EXTRA *fmt.wrapError={error})" if error else ""
    text = f"unable to find workflow with the provided instance ID: {instance_id}{scar}"
    return Fault(404, "ERR_INSTANCE_ID_NOT_FOUND", text)


def get(instance_id: str, error: str) -> Fault:
    """Return the fault of an instance that could not be read."""
    text = (
        f"error while getting workflow info on instance '{instance_id}': failed to get workflow "
        f"metadata for '{instance_id}': failed to fetch workflow metadata: {error}"
    )
    return Fault(500, "ERR_GET_WORKFLOW", text)


def start(name: str, error: str) -> Fault:
    """Return the fault of a start that failed."""
    text = f"error starting workflow '{name}': unable to start workflow: {error}"
    return Fault(500, "ERR_START_WORKFLOW", text)


def start_time(name: str) -> Fault:
    """Return the fault of a start whose time is none."""
    text = f"error starting workflow '{name}': start times must be in RFC3339 format"
    return Fault(500, "ERR_START_WORKFLOW", f'{text} (e.g. "2009-11-10T23:00:00Z")')


def terminate(instance_id: str, error: str) -> Fault:
    """Return the fault of an instance that could not be ended."""
    text = (
        f"error terminating workflow '{instance_id}': failed to terminate workflow {instance_id}: "
        f"failed to submit termination request:: {error}"
    )
    return Fault(500, "ERR_TERMINATE_WORKFLOW", text)


def raise_event(instance_id: str, event: str, error: str) -> Fault:
    """Return the fault of an event that could not be sent."""
    text = (
        f"error raising event on workflow '{instance_id}': failed to raise event {event} on "
        f"workflow {instance_id}: failed to raise event: {error}"
    )
    return Fault(500, "ERR_RAISE_EVENT_WORKFLOW", text)


def pause(instance_id: str, error: str) -> Fault:
    """Return the fault of an instance that could not be paused."""
    text = (
        f"error pausing workflow {instance_id}: failed to pause workflow {instance_id}: "
        f"failed to suspend workflow: {error}"
    )
    return Fault(500, "ERR_PAUSE_WORKFLOW", text)


def resume(instance_id: str, error: str) -> Fault:
    """Return the fault of an instance that could not go on."""
    text = (
        f"error resuming workflow {instance_id}: failed to resume workflow {instance_id}: "
        f"failed to resume workflow: {error}"
    )
    return Fault(500, "ERR_RESUME_WORKFLOW", text)


def purge(instance_id: str, error: str) -> Fault:
    """Return the fault of an instance that could not be forgotten."""
    text = (
        f"error purging workflow {instance_id}: failed to Purge workflow {instance_id}: "
        f"failed to purge workflow state: {error}"
    )
    return Fault(500, "ERR_PURGE_WORKFLOW", text)


def body(error: str) -> Fault:
    """Return the fault of an input or an event that cannot be read."""
    return Fault(400, "ERR_BODY_READ", f"failed to read request body: {error}")
