"""A call on its way from one app's sidecar to another's, as both of them tell of it."""

from dataclasses import replace
from typing import Final
from urllib.parse import unquote

from daprflow.protocol.http import StreamedRequest
from daprflow.sidecar.telemetry.http_errors import error_of
from daprflow.sidecar.telemetry.telemetry import Telemetry
from daprflow.sidecar.telemetry.trace_context import read_traceparent
from daprflow.sidecar.telemetry.tracer import Kind, Span

UNARY: Final = "unary"
_STREAM: Final = "/dapr.proto.internals.v1.ServiceInvocation/CallLocalStream"
_OF_A_TRACE: Final = frozenset({"traceparent", "tracestate"})


class Passage:
    """One call.

    Args:
        caller: what the caller's sidecar measures.
        callee: what the other one measures and traces.
        caller_id: the app that calls.
        callee_id: the app that is called.
    """

    def __init__(
        self, caller: Telemetry, callee: Telemetry, caller_id: str, callee_id: str
    ) -> None:
        self._caller = caller
        self._callee = callee
        self._ids = caller_id, callee_id
        self._begun = 0.0

    def begin(self, request: StreamedRequest) -> tuple[StreamedRequest, Span | None]:
        """Note that the call arrived; the callee's span is what its app belongs to."""
        source, target = self._ids
        self._begun = self._caller.clock.now()
        if self._caller.meters is not None:
            self._caller.meters.invocation.sent(target, UNARY).add()
        if self._callee.meters is not None:
            self._callee.meters.invocation.received(source).add()
        if self._callee.tracer is None:
            return request, None
        sent = dict(reversed(request.headers))
        parent = read_traceparent(sent.get("traceparent", ""), sent.get("tracestate", ""))
        method = unquote(request.target.partition("?")[0]).removeprefix("/")
        span = self._callee.tracer.start(f"CallLocal/{target}/{method}", Kind.SERVER, parent)
        if span.recording:
            span.attributes["rpc.service"] = "ServiceInvocation"
            span.attributes["dapr.invoke_method"] = method
            span.attributes["dapr.protocol"] = "grpc"
            span.attributes["dapr.api"] = _STREAM
        kept = [pair for pair in request.headers if pair[0] not in _OF_A_TRACE]
        kept.append(("traceparent", span.context.traceparent))
        if span.context.state:
            kept.append(("tracestate", span.context.state))
        return replace(request, headers=tuple(kept)), span

    def end(self, span: Span | None, status: int) -> None:
        """Note what was answered.

        Args:
            span: the callee's.
            status: 0 where no answer came.
        """
        source, target = self._ids
        code = str(status or 500)
        if span is not None:
            if not status:
                span.error = "the app could not be reached"
            elif error := error_of(status):
                span.attributes["dapr.status_code"] = str(status)
                span.error = error
            span.finish()
        if self._callee.meters is not None:
            self._callee.meters.invocation.answered(source, code).add()
        if self._caller.meters is not None:
            meters = self._caller.meters.invocation
            meters.answers(target, code, UNARY).add()
            elapsed = (self._caller.clock.now() - self._begun) * 1000
            meters.latency(target, code).record(float(int(elapsed)))
