"""One turn of a workflow, without any I/O: what a worker answered, and what follows from it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar
from uuid import uuid4

from daprflow.protocol import workflow_messages as wf
from daprflow.sidecar.workflows import events
from daprflow.sidecar.workflows.execution import Child, Execution

CONTINUED = wf.ORCHESTRATION_STATUS_CONTINUED_AS_NEW
UNSUPPORTED = "UnsupportedAction"


@dataclass(frozen=True, slots=True)
class Author:
    """The instance that makes events, and when.

    Attributes:
        app_id: the app that runs the instance.
        now: seconds since the epoch.
        spans: whether executions have spans of their own.
    """

    app_id: str
    instance_id: str
    now: float
    spans: bool = False


@dataclass(frozen=True, slots=True)
class Outgoing:
    """An event for another instance.

    Attributes:
        execution_id: the execution it is for; empty where any will do.
        created: what the sender's history says of it, where it begins a child workflow.
    """

    app_id: str
    instance_id: str
    event: wf.HistoryEvent
    execution_id: str = ""
    created: wf.HistoryEvent | None = None


@dataclass(slots=True)
class Step:
    """What follows from a turn; all of it is kept, or nothing.

    Attributes:
        events: what the history grows by.
        tasks: the events among them that schedule activities.
        creations: events that begin child workflows.
        messages: events for instances that exist.
        restart: what the next execution begins with, where it continues as new.
        custom_status: what the workflow says of itself.
        stalled: nothing came of the turn, and what it was given is kept for another one.
    """

    events: list[wf.HistoryEvent]
    tasks: list[wf.HistoryEvent] = field(default_factory=list)
    creations: list[Outgoing] = field(default_factory=list)
    messages: list[Outgoing] = field(default_factory=list)
    restart: list[wf.HistoryEvent] | None = None
    custom_status: wf.StringValue | None = None
    stalled: bool = False


def advance(
    execution: Execution,
    batch: Sequence[wf.HistoryEvent],
    response: wf.WorkflowResponse,
    author: Author,
) -> Step:
    """Return what follows from a worker's answer.

    Args:
        execution: what the history before the turn comes to.
        batch: the new events that the worker was given, the start of the turn first.
        response: what it answered.
        author: whose turn it was, and when it ended.
    """
    problem = _stall(execution, response)
    if problem is not None:
        return stall(execution, *problem, author.now)
    return _Advance(execution, batch, response, author).run()


def stall(
    execution: Execution, reason: "wf.StalledReason.ValueType", description: str, now: float
) -> Step:
    """Return that an execution cannot go on; saying the same again adds nothing."""
    known = execution.stalled
    if known is not None and known.description == description:
        return Step([], stalled=True)
    return Step([events.stalled(reason, description, now)], stalled=True)


def _stall(
    execution: Execution, response: wf.WorkflowResponse
) -> "tuple[wf.StalledReason.ValueType, str] | None":
    """Return why a worker cannot go on with this execution; None where it can."""
    if any(action.HasField("workflowVersionNotAvailable") for action in response.actions):
        return wf.VERSION_NOT_AVAILABLE, f"Version not available: {execution.version}"
    known, current = execution.patches, list(response.version.patches)
    if known and current[: len(known)] != known:
        text = (
            f"Patch mismatch. History patches: [{', '.join(known)}], "
            f"current patches: [{', '.join(current)}]. "
        )
        return wf.PATCH_MISMATCH, text
    return None


class _Advance:
    """The actions of one answer, applied in order."""

    def __init__(
        self,
        execution: Execution,
        batch: Sequence[wf.HistoryEvent],
        response: wf.WorkflowResponse,
        author: Author,
    ) -> None:
        self._execution = execution
        self._batch = batch
        self._response = response
        self._author = author
        self._step = Step(list(batch))
        self._ended = False
        self._start = execution.started or _started_in(batch)
        self._parted = {child.instance_id: child for child in execution.descended.values()}
        self._terminated = execution.terminated or _terminated_in(batch)

    def run(self) -> Step:
        """Apply everything."""
        step, response = self._step, self._response
        if response.HasField("customStatus"):
            step.custom_status = response.customStatus
        self._note_version()
        for action in response.actions:
            if self._terminated is not None and _continues(action):
                continue  # else the next execution would never hear that it is to end
            kind = action.WhichOneof("workflowActionType")
            apply = self._appliers.get(kind or "")
            if apply is None:
                self._refuse(action, kind or "unknown")
            else:
                apply(self, action)
            if step.restart is not None:
                return step
        self._terminate()
        return self._step

    def _note_version(self) -> None:
        """Write down the version that ran, and of its patches those that are new."""
        version = self._response.version
        if not version.patches and not version.HasField("name"):
            return
        begin = next(event for event in self._batch if event.HasField("workflowStarted"))
        fresh = list(version.patches)[len(self._execution.patches) :]
        if fresh or version.HasField("name"):
            noted = begin.workflowStarted.version
            noted.Clear()
            noted.patches.extend(fresh)
            if version.HasField("name"):
                noted.name = version.name

    def _event(self, action: wf.WorkflowAction) -> wf.HistoryEvent:
        """Return an event that an action makes, with its id and its way."""
        event = events.bare(self._author.now)
        event.eventId = action.id
        self._route(event, action)
        self._step.events.append(event)
        return event

    def _route(self, event: wf.HistoryEvent, action: wf.WorkflowAction) -> None:
        event.router.CopyFrom(action.router)
        event.router.sourceAppID = self._author.app_id

    # ---- actions --------------------------------------------------------------------------------

    def _schedule(self, action: wf.WorkflowAction) -> None:
        event = self._event(action)
        asked, made = action.scheduleTask, event.taskScheduled
        made.name = asked.name
        made.taskExecutionId = asked.taskExecutionId
        _copy(asked, made, "version", "input")
        if asked.HasField("historyPropagationScope"):
            made.historyPropagationScope = asked.historyPropagationScope
        if self._start.HasField("parentTraceContext"):
            made.parentTraceContext.CopyFrom(events.own_trace(self._start))
        self._step.tasks.append(event)

    def _create_timer(self, action: wf.WorkflowAction) -> None:
        made = self._event(action).timerCreated
        asked = action.createTimer
        _copy(asked, made, "fireAt")
        if asked.HasField("name"):
            made.name = asked.name
        origin = asked.WhichOneof("origin")
        if origin is not None:
            getattr(made, origin).CopyFrom(getattr(asked, origin))

    def _create_child(self, action: wf.WorkflowAction) -> None:
        asked = action.createChildWorkflow
        child_id = asked.instanceId or f"{self._author.instance_id}:{action.id:04x}"
        event = self._event(action)
        made = event.childWorkflowInstanceCreated
        made.instanceId = child_id
        made.name = asked.name
        _copy(asked, made, "version", "input", "retryParentInstanceInfo")
        if asked.HasField("historyPropagationScope"):
            made.historyPropagationScope = asked.historyPropagationScope
        if self._start.HasField("parentTraceContext"):
            made.parentTraceContext.CopyFrom(events.own_trace(self._start))
        begin = child_start(event, self._start, self._author)
        self._create(begin, event.router.targetAppID, event)
        self._parted[child_id] = Child(child_id, event.router.targetAppID)

    def _create(
        self, begin: wf.HistoryEvent, target: str, created: wf.HistoryEvent | None = None
    ) -> None:
        child_id = begin.executionStarted.workflowInstance.instanceId
        app_id = target or self._author.app_id
        self._step.creations.append(Outgoing(app_id, child_id, begin, created=created))

    def _complete(self, action: wf.WorkflowAction) -> None:
        if self._ended:
            return  # the first one counts
        asked = action.completeWorkflow
        if asked.workflowStatus == CONTINUED:
            self._restart(action)
            return
        made = self._event(action).executionCompleted
        made.workflowStatus = asked.workflowStatus
        _copy(asked, made, "result", "failureDetails")
        self._ended = True
        self._tell_parent(made)

    def _restart(self, action: wf.WorkflowAction) -> None:
        """Begin anew, with nothing but the input and the events that nobody took."""
        asked, start = action.completeWorkflow, self._start
        begin = events.bare(self._author.now)
        self._route(begin, action)
        made = begin.executionStarted
        made.name = start.name
        _copy(start, made, "parentInstance")
        if start.HasField("parentTraceContext"):
            events.follow(made, events.new_trace())
            if self._author.spans:
                events.begin_span(made)
        if asked.HasField("result"):
            made.input.CopyFrom(asked.result)
        made.workflowInstance.instanceId = self._author.instance_id
        made.workflowInstance.executionId.value = str(uuid4())
        step = self._step
        step.restart = [begin, *asked.carryoverEvents]
        step.events, step.tasks, step.creations, step.messages = [], [], [], []

    def _refuse(self, action: wf.WorkflowAction, kind: str) -> None:
        """Fail a workflow that asks for what the real runtime never does: there it would hang."""
        refusal = wf.WorkflowAction(id=action.id)
        asked = refusal.completeWorkflow
        asked.workflowStatus = wf.ORCHESTRATION_STATUS_FAILED
        asked.failureDetails.errorType = UNSUPPORTED
        asked.failureDetails.errorMessage = (
            f"action '{kind}' is not supported by Dapr 1.18, where the workflow would hang; "
            "raise events, and start and end other workflows, from an activity, through a client"
        )
        self._complete(refusal)

    # ---- ends -----------------------------------------------------------------------------------

    def _tell_parent(self, completed: wf.ExecutionCompletedEvent) -> None:
        if not self._start.HasField("parentInstance"):
            return
        parent = self._start.parentInstance
        event = events.bare(self._author.now)
        event.router.sourceAppID = self._author.app_id
        if parent.HasField("appID"):
            event.router.targetAppID = parent.appID
        if completed.workflowStatus == wf.ORCHESTRATION_STATUS_COMPLETED:
            event.childWorkflowInstanceCompleted.taskScheduledId = parent.taskScheduledId
            _copy(completed, event.childWorkflowInstanceCompleted, "result")
        else:
            event.childWorkflowInstanceFailed.taskScheduledId = parent.taskScheduledId
            _copy(completed, event.childWorkflowInstanceFailed, "failureDetails")
        app_id = parent.appID or self._author.app_id
        to = parent.workflowInstance
        message = Outgoing(app_id, to.instanceId, event, to.executionId.value)
        self._step.messages.append(message)

    def _terminate(self) -> None:
        """End what was asked to end, whatever the worker answered, and its children with it."""
        asked = self._terminated
        if asked is None:
            return
        if not self._ended:
            self._step = step = self._undone()
            forced = wf.WorkflowAction(id=events.NO_ID)
            forced.completeWorkflow.workflowStatus = wf.ORCHESTRATION_STATUS_TERMINATED
            if asked.HasField("input"):
                forced.completeWorkflow.result.CopyFrom(asked.input)
            self._complete(forced)
        step = self._step
        if asked.recurse:
            output = asked.input if asked.HasField("input") else None
            for child in self._parted.values():
                event = events.terminated(output, self._author.now, recurse=True)
                app_id = child.app_id or self._author.app_id
                step.messages.append(Outgoing(app_id, child.instance_id, event))

    def _undone(self) -> Step:
        """Return the step as it was before any action."""
        self._parted = {child.instance_id: child for child in self._execution.descended.values()}
        return Step(list(self._batch), custom_status=self._step.custom_status)

    _appliers: ClassVar[Mapping[str, Callable[["_Advance", wf.WorkflowAction], None]]] = {
        "scheduleTask": _schedule,
        "createTimer": _create_timer,
        "createChildWorkflow": _create_child,
        "completeWorkflow": _complete,
    }


def child_start(
    created: wf.HistoryEvent, parent: wf.ExecutionStartedEvent, author: Author
) -> wf.HistoryEvent:
    """Return how the child workflow begins whose creation ``created`` tells of."""
    asked = created.childWorkflowInstanceCreated
    begin = events.bare(author.now)
    begin.router.CopyFrom(created.router)
    made = begin.executionStarted
    made.name = asked.name
    _copy(asked, made, "input")
    if asked.HasField("parentTraceContext"):
        events.follow(made, asked.parentTraceContext)
        if author.spans:
            events.begin_span(made)
    made.workflowInstance.instanceId = asked.instanceId
    made.workflowInstance.executionId.value = str(uuid4())
    link = made.parentInstance
    link.taskScheduledId = created.eventId
    link.name.value = parent.name
    link.workflowInstance.instanceId = author.instance_id
    if parent.workflowInstance.HasField("executionId"):
        link.workflowInstance.executionId.CopyFrom(parent.workflowInstance.executionId)
    link.appID = author.app_id
    return begin


def _copy(source: wf.Message, target: wf.Message, *names: str) -> None:
    """Copy those of the named fields that are set."""
    for name in names:
        if source.HasField(name):
            getattr(target, name).CopyFrom(getattr(source, name))


def _continues(action: wf.WorkflowAction) -> bool:
    return action.completeWorkflow.workflowStatus == CONTINUED


def _started_in(batch: Sequence[wf.HistoryEvent]) -> wf.ExecutionStartedEvent:
    for event in batch:
        if event.HasField("executionStarted"):
            return event.executionStarted
    return wf.ExecutionStartedEvent()


def _terminated_in(batch: Sequence[wf.HistoryEvent]) -> wf.ExecutionTerminatedEvent | None:
    for event in batch:
        if event.HasField("executionTerminated"):
            return event.executionTerminated
    return None
