"""Spans of workflows: one for each turn, which has the same ids however often it is gone through.

A runtime hands the trace on in which a workflow was started. Where it hands on none, the trace is
made of the instance's id, so that turns and activities of all workers belong together.
"""

from typing import Final

from opentelemetry.context import Context, attach, detach
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, TraceFlags
from opentelemetry.trace.propagation import set_span_in_context

from daprflow.observability import span_names
from daprflow.observability.span_errors import SpanErrors, refuse
from daprflow.observability.spans import Ids, Spans, derived
from daprflow.observability.trace_context import context_of, span_of
from daprflow.protocol.history import Trace
from daprflow.protocol.workflow_actions import (
    CompleteWorkflow,
    Turn,
    VersionMissing,
    WorkflowState,
)
from daprflow.workflows.turns import TurnNext, WorkflowTurn

_ROOT: Final = "daprflow workflow"


class WorkflowSpans:
    """Makes the spans of turns."""

    def __init__(self, spans: Spans, errors: SpanErrors) -> None:
        self._spans = spans
        self._errors = errors

    def turn(self, call: TurnNext) -> TurnNext:
        """Return ``call`` with a span for each turn."""

        async def watched(told: WorkflowTurn) -> Turn:
            span, context = self._begin(told)
            token = attach(set_span_in_context(span, context))
            try:
                turn = await call(told)
                if span.is_recording():
                    self._ended(span, turn)
            except BaseException as error:
                if span.is_recording():
                    self._errors.tell(span, error)
                raise
            finally:
                detach(token)
                if span.is_recording():
                    span.end()
            return turn

        return watched

    def _begin(self, told: WorkflowTurn) -> tuple[Span, Context]:
        """Start the span of a turn, and say where it belongs."""
        spans = self._spans
        context = Context() if told.trace is None else started_in(told.trace)
        parent = span_of(context)
        if not parent.is_valid:
            if told.number == 0 and spans.plans:
                return self._first(told)
            context = derived_context(spans, told.instance)
            parent = span_of(context)
        if spans.follows_parents and not parent.trace_flags & 1:
            return NonRecordingSpan(parent), context
        own = derived(parent.trace_id, told.instance, told.execution, told.number)
        return spans.planned(context, span_names.turn(told), own), context

    def _first(self, told: WorkflowTurn) -> tuple[Span, Context]:
        """Start the root of a workflow that nobody's trace led to."""
        ids = derived(_ROOT, told.instance)
        if not self._spans.samples(ids.trace):
            return NonRecordingSpan(_remote(ids, is_sampled=False)), Context()
        return self._spans.planned(Context(), span_names.turn(told), ids), Context()

    def _ended(self, span: Span, turn: Turn) -> None:
        span.set_attribute("dapr.workflow.actions", len(turn.actions))
        for action in turn.actions:
            if isinstance(action, VersionMissing):
                span.set_attribute("dapr.workflow.status", str(WorkflowState.STALLED))
                refuse(span, "stalled")
            elif isinstance(action, CompleteWorkflow):
                span.set_attribute("dapr.workflow.status", str(action.status))
                if action.failure is not None:
                    self._errors.tell_failure(span, action.failure)


def derived_context(spans: Spans, instance: str) -> Context:
    """Return where turns and activities of a workflow belong that nobody's trace led to."""
    ids = derived(_ROOT, instance)
    span = _remote(ids, is_sampled=spans.samples(ids.trace))
    return set_span_in_context(NonRecordingSpan(span), Context())


def started_in(trace: Trace) -> Context:
    """Return the context that a workflow was started in."""
    pairs = ((b"traceparent", trace.parent), (b"tracestate", trace.state))
    return context_of([(name, value.encode("latin-1", "replace")) for name, value in pairs])


def _remote(ids: Ids, *, is_sampled: bool) -> SpanContext:
    return SpanContext(ids.trace, ids.span, is_remote=True, trace_flags=TraceFlags(int(is_sampled)))
