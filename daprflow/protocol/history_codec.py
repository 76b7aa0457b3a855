"""Workflow events and actions as Dapr's protobuf messages, both ways.

Imported only where gRPC is used, as the messages are.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from daprflow.protocol import history
from daprflow.protocol import workflow_messages as pb
from daprflow.protocol.history import Failure, HistoryEvent, TimerOrigin, Trace
from daprflow.protocol.workflow_actions import (
    Action,
    CompleteWorkflow,
    CreateChild,
    CreateTimer,
    Instance,
    ScheduleTask,
    Turn,
    WorkflowState,
)

_NANOS = 1_000_000_000
_NEVER = 253402300799
"""The last second of the year 9999, which stands for never."""
_LAST_NANO = 999_999_999
_YEAR_ONE = -62135596800


def read_events(messages: Iterable[Any], *, whole: bool = True) -> list[HistoryEvent]:
    """Return events as structs.

    Args:
        messages: the events.
        whole: whether they have what replaying does not look at: most times, and the inputs of
            activities. It takes half as long without.
    """
    readers, timeless = (_READERS, frozenset()) if whole else (_LEAN_READERS, _TIMELESS)
    found: list[HistoryEvent] = []
    for message in messages:
        kind = message.WhichOneof("eventType")
        at = 0
        if kind not in timeless:
            stamp = message.timestamp
            at = stamp.seconds * _NANOS + stamp.nanos
        read = readers.get(kind)
        found.append(
            history.OtherEvent(at, kind=kind or "")
            if read is None
            else read(at, getattr(message, kind), message)
        )
    return found


def read_failure(message: Any) -> Failure:
    """Return a failure as a struct."""
    return Failure(
        message.errorType,
        message.errorMessage,
        message.stackTrace.value,
        read_failure(message.innerFailure) if message.HasField("innerFailure") else None,
        message.isNonRetriable,
    )


def write_failure(failure: Failure) -> Any:
    """Return a failure as a message."""
    return pb.TaskFailureDetails(
        errorType=failure.type,
        errorMessage=failure.message,
        stackTrace=_some(failure.stack or None),
        innerFailure=None if failure.cause is None else write_failure(failure.cause),
        isNonRetriable=failure.final,
    )


def write_turn(instance: str, turn: Turn, token: str) -> Any:
    """Return the answer to a work item."""
    version = None
    if turn.version or turn.patches:
        version = pb.WorkflowVersion(name=turn.version or None, patches=turn.patches)
    return pb.WorkflowResponse(
        instanceId=instance,
        actions=[write_action(each, turn.app) for each in turn.actions],
        customStatus=_some(turn.custom_status),
        completionToken=token,
        version=version,
    )


def write_action(action: Action, app: str) -> Any:
    """Return an action as a message."""
    match action:
        case ScheduleTask():
            task = pb.ScheduleTaskAction(
                name=action.name, input=_some(action.input), taskExecutionId=action.execution
            )
            router = _router(app, action.target)
            return pb.WorkflowAction(id=action.id, scheduleTask=task, router=router)
        case CreateTimer():
            return pb.WorkflowAction(id=action.id, createTimer=_timer(action))
        case CreateChild():
            child = pb.CreateChildWorkflowAction(
                instanceId=action.instance, name=action.name, input=_some(action.input)
            )
            router = _router(app, action.target)
            return pb.WorkflowAction(id=action.id, createChildWorkflow=child, router=router)
        case CompleteWorkflow():
            ended = pb.CompleteWorkflowAction(
                workflowStatus=int(action.status),  # type: ignore[arg-type]  # an enum's number
                result=_some(action.result),
                carryoverEvents=[_raised(each) for each in action.carried],
                failureDetails=None if action.failure is None else write_failure(action.failure),
            )
            return pb.WorkflowAction(id=action.id, completeWorkflow=ended, router=_router(app, ""))
        case _:
            missing = pb.WorkflowVersionNotAvailableAction()
            return pb.WorkflowAction(id=action.id, workflowVersionNotAvailable=missing)


def read_instance(message: Any) -> Instance:
    """Return the state of an instance as a struct."""
    failed = message.HasField("failureDetails")
    return Instance(
        id=message.instanceId,
        name=message.name,
        version=message.version.value,
        status=WorkflowState(message.workflowStatus),
        input=_text(message, "input"),
        output=_text(message, "output"),
        custom_status=_text(message, "customStatus"),
        failure=read_failure(message.failureDetails) if failed else None,
        start=read_time(message.scheduledStartTimestamp),
        created=read_time(message.createdTimestamp),
        updated=read_time(message.lastUpdatedTimestamp),
        started=read_time(message.startedAt),
        completed=read_time(message.completedTimestamp),
        parent=message.parentInstanceId.value,
    )


def read_time(stamp: Any) -> int:
    """Return a time as nanoseconds; 0 where it is none, as Go's zero time is."""
    if stamp.seconds <= _YEAR_ONE:
        return 0
    return int(stamp.seconds) * _NANOS + int(stamp.nanos)


def write_time(at: int | None) -> Any:
    """Return nanoseconds as a time; None is never."""
    if at is None:
        return pb.Timestamp(seconds=_NEVER, nanos=_LAST_NANO)
    seconds, nanos = divmod(at, _NANOS)
    return pb.Timestamp(seconds=seconds, nanos=nanos)


def _timer(action: CreateTimer) -> Any:
    timer = pb.CreateTimerAction(fireAt=write_time(action.fire_at))
    match action.origin.kind:
        case "timer":
            timer.createTimer.SetInParent()
        case "event":
            timer.externalEvent.name = action.origin.of
        case "activity-retry":
            timer.activityRetry.taskExecutionId = action.origin.of
        case "child-retry":
            timer.childWorkflowRetry.instanceId = action.origin.of
    return timer


def _raised(event: history.EventRaised) -> Any:
    raised = pb.EventRaisedEvent(name=event.name, input=_some(event.input))
    return pb.HistoryEvent(eventId=-1, timestamp=write_time(event.at), eventRaised=raised)


def _router(app: str, target: str) -> Any:
    return pb.TaskRouter(sourceAppID=app, targetAppID=target or None) if app else None


def _some(text: str | None) -> Any:
    return None if text is None else pb.StringValue(value=text)


def _text(message: Any, field: str) -> str | None:
    return getattr(message, field).value if message.HasField(field) else None


def _fire_at(stamp: Any) -> int | None:
    return None if stamp.seconds >= _NEVER else stamp.seconds * _NANOS + stamp.nanos


def _workflow_started(at: int, inner: Any, _: Any) -> HistoryEvent:
    if not inner.HasField("version"):
        return history.WorkflowStarted(at)
    return history.WorkflowStarted(at, inner.version.name, tuple(inner.version.patches))


def _execution_started(at: int, inner: Any, message: Any) -> HistoryEvent:
    parent = None
    if inner.HasField("parentInstance"):
        told = inner.parentInstance
        parent = history.Parent(
            told.workflowInstance.instanceId, told.name.value, told.appID, told.taskScheduledId
        )
    trace = None
    if inner.HasField("parentTraceContext"):
        told = inner.parentTraceContext
        trace = Trace(told.traceParent, told.traceState.value)
    router = message.router
    return history.ExecutionStarted(
        at,
        name=inner.name,
        input=_text(inner, "input"),
        instance=inner.workflowInstance.instanceId,
        execution=inner.workflowInstance.executionId.value,
        version=inner.version.value,
        app=router.targetAppID or router.sourceAppID,
        parent=parent,
        start=read_time(inner.scheduledStartTimestamp)
        if inner.HasField("scheduledStartTimestamp")
        else 0,
        trace=trace,
    )


def _execution_completed(at: int, inner: Any, message: Any) -> HistoryEvent:
    failed = inner.HasField("failureDetails")
    return history.ExecutionCompleted(
        at,
        id=message.eventId,
        status=inner.workflowStatus,
        result=_text(inner, "result"),
        failure=read_failure(inner.failureDetails) if failed else None,
    )


def _execution_terminated(at: int, inner: Any, _: Any) -> HistoryEvent:
    return history.ExecutionTerminated(at, output=_text(inner, "input"), recurse=inner.recurse)


def _execution_suspended(at: int, inner: Any, _: Any) -> HistoryEvent:
    return history.ExecutionSuspended(at, reason=inner.input.value)


def _execution_resumed(at: int, inner: Any, _: Any) -> HistoryEvent:
    return history.ExecutionResumed(at, reason=inner.input.value)


def _execution_stalled(at: int, inner: Any, _: Any) -> HistoryEvent:
    reason = pb.StalledReason.Name(inner.reason)
    return history.ExecutionStalled(at, reason=reason, description=inner.description)


def _task_scheduled(at: int, inner: Any, message: Any) -> HistoryEvent:
    return history.TaskScheduled(
        at,
        id=message.eventId,
        name=inner.name,
        input=inner.input.value if inner.HasField("input") else None,
        target=message.router.targetAppID,
        execution=inner.taskExecutionId,
        rerun=inner.HasField("rerunParentInstanceInfo"),
    )


def _lean_task_scheduled(_: int, inner: Any, message: Any) -> HistoryEvent:
    rerun = inner.HasField("rerunParentInstanceInfo")
    return history.TaskScheduled(id=message.eventId, name=inner.name, rerun=rerun)


def _lean_task_completed(_: int, inner: Any, __: Any) -> HistoryEvent:
    result = inner.result.value  # empty where there is none, which decodes to the same
    return history.TaskCompleted(scheduled=inner.taskScheduledId, result=result)


def _task_completed(at: int, inner: Any, _: Any) -> HistoryEvent:
    result = inner.result.value if inner.HasField("result") else None
    return history.TaskCompleted(at, scheduled=inner.taskScheduledId, result=result)


def _task_failed(at: int, inner: Any, _: Any) -> HistoryEvent:
    failure = read_failure(inner.failureDetails)
    return history.TaskFailed(at, scheduled=inner.taskScheduledId, failure=failure)


def _child_created(at: int, inner: Any, message: Any) -> HistoryEvent:
    return history.ChildCreated(
        at,
        id=message.eventId,
        name=inner.name,
        instance=inner.instanceId,
        input=_text(inner, "input"),
        target=message.router.targetAppID,
        rerun=inner.HasField("rerunParentInstanceInfo"),
    )


def _child_completed(at: int, inner: Any, _: Any) -> HistoryEvent:
    return history.ChildCompleted(
        at, scheduled=inner.taskScheduledId, result=_text(inner, "result")
    )


def _child_failed(at: int, inner: Any, _: Any) -> HistoryEvent:
    failed = inner.HasField("failureDetails")
    failure = read_failure(inner.failureDetails) if failed else None
    return history.ChildFailed(at, scheduled=inner.taskScheduledId, failure=failure)


_ORIGINS: Mapping[str, Callable[[Any], TimerOrigin]] = {
    "createTimer": lambda _: TimerOrigin("timer"),
    "externalEvent": lambda inner: TimerOrigin("event", inner.name),
    "activityRetry": lambda inner: TimerOrigin("activity-retry", inner.taskExecutionId),
    "childWorkflowRetry": lambda inner: TimerOrigin("child-retry", inner.instanceId),
}


def _timer_created(at: int, inner: Any, message: Any) -> HistoryEvent:
    kind = inner.WhichOneof("origin")
    return history.TimerCreated(
        at,
        id=message.eventId,
        fire_at=_fire_at(inner.fireAt),
        name=inner.name,
        origin=_ORIGINS[kind](getattr(inner, kind)) if kind in _ORIGINS else TimerOrigin(),
        rerun=inner.HasField("rerunParentInstanceInfo"),
    )


def _timer_fired(at: int, inner: Any, _: Any) -> HistoryEvent:
    return history.TimerFired(at, timer=inner.timerId, fire_at=_fire_at(inner.fireAt))


def _event_raised(at: int, inner: Any, _: Any) -> HistoryEvent:
    return history.EventRaised(at, name=inner.name, input=_text(inner, "input"))


_TIMELESS = frozenset(
    {
        "taskScheduled",
        "taskCompleted",
        "taskFailed",
        "timerCreated",
        "childWorkflowInstanceCreated",
        "childWorkflowInstanceCompleted",
        "childWorkflowInstanceFailed",
    }
)
_READERS: Mapping[str | None, Callable[[int, Any, Any], HistoryEvent]] = {
    "workflowStarted": _workflow_started,
    "executionStarted": _execution_started,
    "executionCompleted": _execution_completed,
    "executionTerminated": _execution_terminated,
    "executionSuspended": _execution_suspended,
    "executionResumed": _execution_resumed,
    "executionStalled": _execution_stalled,
    "taskScheduled": _task_scheduled,
    "taskCompleted": _task_completed,
    "taskFailed": _task_failed,
    "childWorkflowInstanceCreated": _child_created,
    "childWorkflowInstanceCompleted": _child_completed,
    "childWorkflowInstanceFailed": _child_failed,
    "timerCreated": _timer_created,
    "timerFired": _timer_fired,
    "eventRaised": _event_raised,
}
_LEAN_READERS: Mapping[str | None, Callable[[int, Any, Any], HistoryEvent]] = {
    **_READERS,
    "taskScheduled": _lean_task_scheduled,
    "taskCompleted": _lean_task_completed,
}
