"""The spans of the events of a bulk publish: each event belongs to one of its own."""

from daprflow.sidecar.blocks.pubsub_publish import Trace
from daprflow.sidecar.telemetry.trace_context import read_traceparent
from daprflow.sidecar.telemetry.tracer import Kind, Span, Tracer


class Produced:
    """The events of one call.

    Args:
        tracer: None makes no spans; then all belong to the call.
        api: the name of the spans.
        trace: of the call.
    """

    def __init__(self, tracer: Tracer | None, api: str, trace: Trace) -> None:
        self._tracer = tracer
        self._api = api
        self._trace = trace
        self._spans: list[Span] = []

    def next(self) -> Trace:
        """Return the trace context of one more event."""
        if self._tracer is None:
            return self._trace
        parent = read_traceparent(self._trace.traceparent, self._trace.tracestate)
        span = self._tracer.start(self._api, Kind.PRODUCER, parent)
        self._spans.append(span)
        return Trace(span.context.traceparent, span.context.state)

    def end(self) -> None:
        """Note that all of them are published, or none."""
        for span in self._spans:
            span.finish()
