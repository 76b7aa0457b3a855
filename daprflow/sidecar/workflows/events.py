"""History events that the engine makes itself."""

from uuid import uuid4

from daprflow.protocol import workflow_messages as wf

NO_ID = -1
"""The id of every event that no action of a workflow made."""
NANOSECONDS = 1_000_000_000
MICROSECONDS = 1_000_000
_PARTS = 4
_SPAN = 2


def stamp(event: wf.HistoryEvent, now: float) -> wf.HistoryEvent:
    """Say when an event happened, in seconds since the epoch.

    Whole microseconds are all that a float has: a timer that is due at one must not be said to have
    fired a few nanoseconds before.
    """
    moment = event.timestamp
    seconds, rest = divmod(round(now * MICROSECONDS), MICROSECONDS)
    moment.seconds, moment.nanos = seconds, rest * 1_000
    return event


def bare(now: float) -> wf.HistoryEvent:
    """Return an event that says nothing yet."""
    return stamp(wf.HistoryEvent(eventId=NO_ID), now)


def turn_started(now: float) -> wf.HistoryEvent:
    """Return what every turn begins with; its time is the workflow's."""
    event = bare(now)
    event.workflowStarted.SetInParent()
    return event


def started(request: wf.CreateInstanceRequest, execution_id: str, now: float) -> wf.HistoryEvent:
    """Return how an instance begins that a client asked for.

    Version, tags and the client's execution id get lost, as in the real runtime.
    """
    event = bare(now)
    made = event.executionStarted
    made.name = request.name
    if request.HasField("input"):
        made.input.CopyFrom(request.input)
    made.workflowInstance.instanceId = request.instanceId
    made.workflowInstance.executionId.value = execution_id
    if request.HasField("scheduledStartTimestamp"):
        made.scheduledStartTimestamp.CopyFrom(request.scheduledStartTimestamp)
    if is_sampled(request.parentTraceContext):
        follow(made, request.parentTraceContext)
    return event


def follow(made: wf.ExecutionStartedEvent, context: wf.TraceContext) -> None:
    """Have an execution belong to a trace; its own span is its caller's until spans are made."""
    made.parentTraceContext.traceParent = context.traceParent
    if context.HasField("traceState"):
        made.parentTraceContext.traceState.CopyFrom(context.traceState)
    made.workflowSpanID.value = context.traceParent.split("-")[_SPAN]


def own_trace(start: wf.ExecutionStartedEvent) -> wf.TraceContext:
    """Return the context of an execution's own span, which what it asks for is part of."""
    parent = start.parentTraceContext
    parts = parent.traceParent.split("-")
    if len(parts) == _PARTS and start.HasField("workflowSpanID"):
        parts[_SPAN] = start.workflowSpanID.value
    own = wf.TraceContext(traceParent="-".join(parts))
    if parent.HasField("traceState"):
        own.traceState.CopyFrom(parent.traceState)
    return own


def begin_span(made: wf.ExecutionStartedEvent) -> None:
    """Give an execution that belongs to a trace a span of its own."""
    if made.HasField("parentTraceContext"):
        made.workflowSpanID.value = uuid4().hex[:16]


def new_trace() -> wf.TraceContext:
    """Return the root of a trace."""
    return wf.TraceContext(traceParent=f"00-{uuid4().hex}-{uuid4().hex[:16]}-01")


def is_sampled(context: wf.TraceContext) -> bool:
    """Tell whether somebody follows a trace; one that nobody does is not passed on."""
    parts = context.traceParent.split("-")
    try:
        return len(parts) == _PARTS and bool(int(parts[-1], 16) & 1)
    except ValueError:
        return False


def task_result(
    scheduled: wf.HistoryEvent, response: wf.ActivityResponse, now: float
) -> wf.HistoryEvent:
    """Return what came of an activity."""
    event = bare(now)
    task = scheduled.taskScheduled
    if response.HasField("failureDetails"):
        failed = event.taskFailed
        failed.taskScheduledId = scheduled.eventId
        failed.taskExecutionId = task.taskExecutionId
        failed.failureDetails.CopyFrom(response.failureDetails)
    else:
        done = event.taskCompleted
        done.taskScheduledId = scheduled.eventId
        done.taskExecutionId = task.taskExecutionId
        if response.HasField("result"):
            done.result.CopyFrom(response.result)
    if scheduled.HasField("router"):
        event.router.CopyFrom(scheduled.router)
    return event


def timer_fired(timer_id: int, fire_at: wf.Timestamp, now: float) -> wf.HistoryEvent:
    """Return that a timer is due; a clock of less precision than the timer's never says before."""
    event = bare(now)
    if event.timestamp.ToNanoseconds() < fire_at.ToNanoseconds():
        event.timestamp.CopyFrom(fire_at)
    event.timerFired.timerId = timer_id
    event.timerFired.fireAt.CopyFrom(fire_at)
    return event


def raised(name: str, data: wf.StringValue | None, now: float) -> wf.HistoryEvent:
    """Return an event from outside."""
    event = bare(now)
    event.eventRaised.name = name
    if data is not None:
        event.eventRaised.input.CopyFrom(data)
    return event


def suspended(reason: str, now: float) -> wf.HistoryEvent:
    """Return that an instance is to pause."""
    event = bare(now)
    event.executionSuspended.SetInParent()
    if reason:
        event.executionSuspended.input.value = reason
    return event


def resumed(reason: str, now: float) -> wf.HistoryEvent:
    """Return that an instance is to go on."""
    event = bare(now)
    event.executionResumed.SetInParent()
    if reason:
        event.executionResumed.input.value = reason
    return event


def terminated(output: wf.StringValue | None, now: float, *, recurse: bool) -> wf.HistoryEvent:
    """Return that an instance is to end."""
    event = bare(now)
    event.executionTerminated.recurse = recurse
    event.executionTerminated.SetInParent()
    if output is not None:
        event.executionTerminated.input.CopyFrom(output)
    return event


def stalled(reason: wf.StalledReason.ValueType, description: str, now: float) -> wf.HistoryEvent:
    """Return that an instance cannot go on for now."""
    event = bare(now)
    event.executionStalled.reason = reason
    event.executionStalled.description = description
    return event


def child_failed(task_id: int, error_type: str, message: str, now: float) -> wf.HistoryEvent:
    """Return that a child workflow could not be started."""
    event = bare(now)
    event.childWorkflowInstanceFailed.taskScheduledId = task_id
    details = event.childWorkflowInstanceFailed.failureDetails
    details.errorType = error_type
    details.errorMessage = message
    return event


def seconds(moment: wf.Timestamp) -> float:
    """Return a moment in seconds since the epoch."""
    return moment.seconds + moment.nanos / NANOSECONDS
