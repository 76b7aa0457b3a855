"""Watches the workflows of one app: spans that survive replays and restarts, and some numbers."""

from typing import TYPE_CHECKING

from daprflow.protocol import workflow_messages as wf
from daprflow.sidecar.telemetry.trace_context import TraceContext, read_traceparent
from daprflow.sidecar.telemetry.tracer import Attribute, Kind, Span, SpanEvent, Tracer
from daprflow.sidecar.workflows import events

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from daprflow.sidecar.telemetry.meters import WorkflowMeters
    from daprflow.sidecar.telemetry.telemetry import Telemetry
    from daprflow.sidecar.workflows.instance import Instance
    from daprflow.sidecar.workflows.items import TaskItem
    from daprflow.sidecar.workflows.turn import Step

SUCCESS, FAILED, TERMINATED = "success", "failed", "terminated"
_CONTINUED = "CONTINUED_AS_NEW"
_PREFIX = "ORCHESTRATION_STATUS_"


class WorkflowWatch:
    """Notes what becomes of workflows and activities.

    Args:
        telemetry: of the sidecar; there is something to watch.
    """

    def __init__(self, telemetry: "Telemetry") -> None:
        self._clock = telemetry.clock
        self._tracer = telemetry.tracer
        meters = telemetry.meters
        self._meters: WorkflowMeters | None = None if meters is None else meters.workflows

    @property
    def spans(self) -> bool:
        """Whether workflows have spans of their own."""
        return self._tracer is not None

    # ---- clients --------------------------------------------------------------------------------

    def create(self, request: wf.CreateInstanceRequest) -> Span | None:
        """Begin the span of a call that starts an instance, which is part of it from now on."""
        if self._tracer is None:
            return None
        parent = context_of(request.parentTraceContext)
        name = request.name
        span = self._tracer.start(_name("create_orchestration", name), Kind.CLIENT, parent)
        _describe(span, "orchestration", name, request.instanceId)
        request.ClearField("parentTraceContext")
        if span.recording:
            request.parentTraceContext.CopyFrom(message_of(span.context))
        return span

    def created(self, span: Span | None, begun: float, error: Exception | None) -> None:
        """Note that such a call is over."""
        if span is not None:
            span.error = None if error is None else str(error)
            span.finish()
        self.did("create_workflow", begun, error)

    def did(self, operation: str, begun: float, error: Exception | None = None) -> None:
        """Count and measure an operation of a client."""
        if self._meters is not None:
            status = SUCCESS if error is None else FAILED
            self._meters.operations(operation, status).add()
            elapsed = (self._clock.now() - begun) * 1000
            self._meters.operation_latency(operation, status).record(elapsed)

    # ---- turns ----------------------------------------------------------------------------------

    def advanced(
        self, instance: "Instance", batch: "Sequence[wf.HistoryEvent]", step: "Step"
    ) -> None:
        """Note what a turn came to, before it is written down.

        Args:
            instance: as it was before the turn.
            batch: the new events of the turn.
            step: what follows.
        """
        start = instance.execution.started or _started_in(batch)
        if start is None:
            return
        ended = _completed_in(step.events)
        if self._meters is not None:
            self._count(self._meters, instance, start, batch, ended)
        if self._tracer is None or not start.HasField("parentTraceContext"):
            return
        own = context_of(events.own_trace(start))
        if own is None:
            return
        for event in batch:
            if event.HasField("timerFired"):
                self._timer(self._tracer, event, own, instance.row.instance_id)
        if ended is not None or step.restart is not None:
            span = self._workflow(self._tracer, instance, start, own)
            self._end(span, instance, step, ended)

    def _count(
        self,
        meters: "WorkflowMeters",
        instance: "Instance",
        start: wf.ExecutionStartedEvent,
        batch: "Sequence[wf.HistoryEvent]",
        ended: wf.ExecutionCompletedEvent | None,
    ) -> None:
        now = self._clock.now()
        for event in batch:
            if event.HasField("executionStarted"):
                due = event.timestamp
                if event.executionStarted.HasField("scheduledStartTimestamp"):
                    due = event.executionStarted.scheduledStartTimestamp
                meters.delay(start.name).record(max(0.0, (now - _seconds(due)) * 1000))
        if ended is not None:
            status = _outcome(ended)
            meters.executions(status, start.name).add()
            begun = _begun(instance, batch, now)
            meters.latency(status, start.name).record((now - begun) * 1000)

    def _workflow(
        self,
        tracer: Tracer,
        instance: "Instance",
        start: wf.ExecutionStartedEvent,
        own: TraceContext,
    ) -> Span:
        span = tracer.start(
            _name("orchestration", start.name), Kind.SERVER, context_of(start.parentTraceContext)
        )
        span.context = own
        created = instance.execution.first or instance.execution.created
        if created is not None:
            span.start = _seconds(created)
        _describe(span, "orchestration", start.name, instance.row.instance_id)
        return span

    def _end(
        self,
        span: Span,
        instance: "Instance",
        step: "Step",
        ended: wf.ExecutionCompletedEvent | None,
    ) -> None:
        status = _CONTINUED
        if ended is not None:
            status = wf.OrchestrationStatus.Name(ended.workflowStatus).removeprefix(_PREFIX)
            if ended.HasField("failureDetails"):
                span.error = ended.failureDetails.errorMessage
            span.events = [*_notable(instance.history()), *_notable(step.events)]
        span.attributes["durabletask.runtime_status"] = status
        span.finish()

    def _timer(
        self, tracer: Tracer, event: wf.HistoryEvent, own: TraceContext, instance_id: str
    ) -> None:
        fired = event.timerFired
        span = tracer.start("timer", Kind.INTERNAL, own)
        span.start = _seconds(event.timestamp)
        span.attributes.update(
            {
                "durabletask.type": "timer",
                "durabletask.fire_at": fired.fireAt.ToJsonString(),
                "durabletask.task.task_id": fired.timerId,
                "durabletask.task.instance_id": instance_id,
            }
        )
        span.finish()

    # ---- activities -----------------------------------------------------------------------------

    def sent(self, item: "TaskItem") -> None:
        """Note that a worker is given an activity, which is a span until it answers."""
        item.begun = self._clock.now()
        task = item.scheduled.taskScheduled
        if self._meters is not None:
            self._meters.activity_operations(task.name, SUCCESS).add()
            self._meters.activity_operation_latency(task.name, SUCCESS).record(0.0)
        if self._tracer is None:
            return
        parent = context_of(task.parentTraceContext)
        version = task.version.value if task.HasField("version") else ""
        name = _name("activity", task.name, version)
        item.span = span = self._tracer.start(name, Kind.SERVER, parent)
        _describe(span, "activity", task.name, item.instance_id)
        span.attributes["durabletask.task.task_id"] = item.task_id
        if version:
            span.attributes["durabletask.task.version"] = version

    def answered(self, item: "TaskItem", response: wf.ActivityResponse) -> None:
        """Note what came of an activity."""
        failed = response.HasField("failureDetails")
        if item.span is not None:
            item.span.finish()  # a failure is an answer, and no error of the sidecar's
            item.span = None
        if self._meters is not None:
            name, status = item.scheduled.taskScheduled.name, FAILED if failed else SUCCESS
            self._meters.activities(name, status).add()
            elapsed = (self._clock.now() - item.begun) * 1000
            self._meters.activity_latency(name, status).record(elapsed)


def context_of(message: wf.TraceContext) -> TraceContext | None:
    """Return a trace context that a message holds; None where it holds none."""
    return read_traceparent(message.traceParent, message.traceState.value)


def message_of(context: TraceContext) -> wf.TraceContext:
    """Return a trace context as a message."""
    message = wf.TraceContext(traceParent=context.traceparent)
    if context.state:
        message.traceState.value = context.state
    return message


def within(item: "TaskItem", request: wf.ActivityRequest) -> None:
    """Have an activity be part of its own span; one that is not recorded is part of none."""
    if item.span is None:
        return
    request.ClearField("parentTraceContext")
    if item.span.recording:
        request.parentTraceContext.CopyFrom(message_of(item.span.context))


def _name(kind: str, name: str, version: str = "") -> str:
    return "||".join(part for part in (kind, name, version) if part)


def _describe(span: Span, kind: str, name: str, instance_id: str) -> None:
    span.attributes.update(
        {
            "durabletask.type": kind,
            "durabletask.task.name": name,
            "durabletask.task.instance_id": instance_id,
        }
    )


def _started_in(batch: "Sequence[wf.HistoryEvent]") -> wf.ExecutionStartedEvent | None:
    found = (event.executionStarted for event in batch if event.HasField("executionStarted"))
    return next(found, None)


def _completed_in(history: "Sequence[wf.HistoryEvent]") -> wf.ExecutionCompletedEvent | None:
    found = (event.executionCompleted for event in history if event.HasField("executionCompleted"))
    return next(found, None)


def _outcome(ended: wf.ExecutionCompletedEvent) -> str:
    if ended.workflowStatus == wf.ORCHESTRATION_STATUS_COMPLETED:
        return SUCCESS
    return TERMINATED if ended.workflowStatus == wf.ORCHESTRATION_STATUS_TERMINATED else FAILED


def _begun(instance: "Instance", batch: "Sequence[wf.HistoryEvent]", now: float) -> float:
    """Return when an execution began to run."""
    first = instance.execution.first
    if first is not None:
        return _seconds(first)
    return _seconds(batch[0].timestamp) if batch else now


def _notable(history: "Iterable[wf.HistoryEvent]") -> "Iterator[SpanEvent]":
    for event in history:
        time = _seconds(event.timestamp)
        if event.HasField("eventRaised"):
            said: dict[str, Attribute] = {
                "name": event.eventRaised.name,
                "size": len(event.eventRaised.input.value.encode()),
            }
            yield SpanEvent("Received external event", time, said)
        elif event.HasField("executionSuspended"):
            reason = event.executionSuspended.input.value
            yield SpanEvent("Execution suspended", time, {"reason": reason})
        elif event.HasField("executionResumed"):
            reason = event.executionResumed.input.value
            yield SpanEvent("Execution resumed", time, {"reason": reason})


def _seconds(moment: wf.Timestamp) -> float:
    return float(moment.seconds) + moment.nanos / 1e9
