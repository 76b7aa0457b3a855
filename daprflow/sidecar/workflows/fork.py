"""The history of a new instance that runs another one again from one of its events."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from daprflow.protocol import workflow_messages as wf
from daprflow.protocol.grpc_codes import Code
from daprflow.sidecar.workflows import events
from daprflow.sidecar.workflows.problems import WorkflowProblem

_RESULTS = {
    "taskCompleted",
    "taskFailed",
    "childWorkflowInstanceCompleted",
    "childWorkflowInstanceFailed",
}
_AGAIN = {"taskScheduled", "timerCreated", "childWorkflowInstanceCreated"}
_GO = {
    "executionStarted": "HistoryEvent_ExecutionStarted",
    "executionCompleted": "HistoryEvent_ExecutionCompleted",
}


@dataclass(frozen=True, slots=True)
class Rerun:
    """From where an instance is to be run again, and with what.

    Attributes:
        source: the instance that ran.
        target: the new one.
        event_id: names the event in the source's history.
        overwrite: whether ``data`` replaces the input.
        child: the id of the child workflow, where the event began one.
    """

    source: str
    target: str
    event_id: int
    overwrite: bool = False
    data: wf.StringValue | None = None
    child: str | None = None


@dataclass(slots=True)
class Fork:
    """A history to begin with: what is over, and what runs again."""

    history: list[wf.HistoryEvent] = field(default_factory=list)
    again: list[wf.HistoryEvent] = field(default_factory=list)


def fork(history: Iterable[wf.HistoryEvent], rerun: Rerun, now: float) -> Fork:
    """Return how the new instance begins.

    Whatever has a result stays as it was; what has none by then runs again with the event itself.

    Raises:
        WorkflowProblem: there is no such event, or it cannot be run again as rerun.
    """
    made, open_ = Fork(), dict[int, wf.HistoryEvent]()
    for event in history:
        kind = event.WhichOneof("eventType") or ""
        if event.eventId == rerun.event_id:
            open_[event.eventId] = _found(event, kind, rerun)
            break
        if kind in _AGAIN:
            open_[event.eventId] = event
        elif kind in _RESULTS:
            scheduled = open_.pop(getattr(event, kind).taskScheduledId, None)
            if scheduled is not None:
                made.history.append(scheduled)
            made.history.append(event)
        elif kind == "timerFired":
            scheduled = open_.pop(event.timerFired.timerId, None)
            if scheduled is not None:
                made.history.append(scheduled)
            made.history.append(event)
        else:
            made.history.append(event)
    else:
        text = f"does not have history event with ID '{rerun.event_id}'"
        raise WorkflowProblem(text, Code.NOT_FOUND)
    for event in open_.values():
        _renew(event, rerun, now)
        made.again.append(event)
    made.history.extend(made.again)
    return made


def _renew(event: wf.HistoryEvent, rerun: Rerun, now: float) -> None:
    events.stamp(event, now)
    if event.HasField("childWorkflowInstanceCreated"):
        named = event.eventId == rerun.event_id and rerun.child
        made = event.childWorkflowInstanceCreated
        made.instanceId = (
            rerun.child if named and rerun.child else (f"{rerun.target}:{event.eventId:04x}")
        )


def _found(event: wf.HistoryEvent, kind: str, rerun: Rerun) -> wf.HistoryEvent:
    """Return the event itself, marked as one that runs again, with another input if one is given.

    Raises:
        WorkflowProblem: it cannot run again, or not so.
    """
    number = rerun.event_id
    if kind not in _AGAIN:
        shown = _GO.get(kind, f"HistoryEvent_{kind[:1].upper()}{kind[1:]}")
        text = (
            f"target event '*protos.{shown}' with ID '{number}' is not an event that can be rerun"
        )
        raise WorkflowProblem(text, Code.NOT_FOUND)
    if kind == "timerCreated" and rerun.overwrite:
        raise WorkflowProblem(f"cannot write input to timer event '{number}'", _INVALID)
    if rerun.child is not None and kind != "childWorkflowInstanceCreated":
        what = "timer" if kind == "timerCreated" else "activity"
        text = f"cannot set new child workflow instance ID on {what} event '{number}'"
        raise WorkflowProblem(text, _INVALID)
    body = getattr(event, kind)
    body.rerunParentInstanceInfo.instanceID = rerun.source
    if rerun.overwrite:
        body.ClearField("input")
        if rerun.data is not None:
            body.input.CopyFrom(rerun.data)
    return event


_INVALID = Code.INVALID_ARGUMENT
