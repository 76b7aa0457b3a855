"""History that a workflow passes on to what it starts, and that it got from what started it."""

from collections.abc import Iterable

from daprflow.protocol import workflow_messages as wf

NONE = wf.HISTORY_PROPAGATION_SCOPE_NONE
LINEAGE = wf.HISTORY_PROPAGATION_SCOPE_LINEAGE


def scope_of(event: wf.HistoryEvent) -> "wf.HistoryPropagationScope.ValueType":
    """Return what is passed on with an activity or a child workflow that an event schedules."""
    if event.HasField("taskScheduled"):
        return event.taskScheduled.historyPropagationScope
    return event.childWorkflowInstanceCreated.historyPropagationScope


def until(history: Iterable[wf.HistoryEvent], event_id: int) -> list[wf.HistoryEvent]:
    """Return what happened until the event of an action, and that event."""
    found = []
    for event in history:
        found.append(event)
        if event.eventId == event_id:
            break
    return found


def propagated(
    app_id: str,
    instance_id: str,
    history: Iterable[wf.HistoryEvent],
    scope: "wf.HistoryPropagationScope.ValueType",
    received: bytes | None,
) -> wf.PropagatedHistory:
    """Return what an instance passes on.

    Args:
        app_id: the app that runs it.
        instance_id: names it.
        history: what happened to it until then.
        scope: whether what it got itself goes on with it.
        received: what it got, encoded.
    """
    made = wf.PropagatedHistory(scope=scope)
    if scope == LINEAGE and received is not None:
        made.chunks.extend(wf.PropagatedHistory.FromString(received).chunks)
    chunk = made.chunks.add(appId=app_id, instanceId=instance_id)
    for event in history:
        chunk.rawEvents.append(event.SerializeToString(deterministic=True))
        if event.HasField("executionStarted") and not chunk.workflowName:
            chunk.workflowName = event.executionStarted.name
    return made
