"""A call on its way from one app's sidecar to another's, as both of them tell of it."""

from collections.abc import Sequence
from typing import Any, Final

from daprflow.sidecar.telemetry.http_errors import error_of
from daprflow.sidecar.telemetry.telemetry import Telemetry
from daprflow.sidecar.telemetry.trace_context import read_traceparent
from daprflow.sidecar.telemetry.tracer import Kind, Span

UNARY: Final = "unary"
STREAMING: Final = "streaming"
Pairs = Sequence[tuple[str, Any]]
"""Headers, or metadata of gRPC; what is binary there is left alone."""
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

    def begin(self, method: str, headers: Pairs) -> tuple[Pairs, Span | None]:
        """Note that a call of a method arrived.

        Returns:
            The headers that its app gets, and the callee's span, which it belongs to.
        """
        source, target = self._ids
        self._send(UNARY)
        if self._callee.meters is not None:
            self._callee.meters.invocation.received(source).add()
        span = self._span(f"CallLocal/{target}/{method}", headers)
        if span is None:
            return headers, None
        if span.recording:
            span.attributes["rpc.service"] = "ServiceInvocation"
            span.attributes["dapr.invoke_method"] = method
            span.attributes["dapr.protocol"] = "grpc"
            span.attributes["dapr.api"] = _STREAM
        kept = [pair for pair in headers if pair[0] not in _OF_A_TRACE]
        kept.append(("traceparent", span.context.traceparent))
        if span.context.state:
            kept.append(("tracestate", span.context.state))
        return tuple(kept), span

    def end(self, span: Span | None, status: int) -> None:
        """Note what an app that speaks HTTP answered.

        Args:
            span: the callee's.
            status: 0 where no answer came.
        """
        if span is not None and status and error_of(status):
            span.attributes["dapr.status_code"] = str(status)
        error = error_of(status) if status else "the app could not be reached"
        self.end_rpc(span, status or 500, error)

    def end_rpc(self, span: Span | None, code: int, error: str | None) -> None:
        """Note what an app that speaks gRPC answered.

        Args:
            span: the callee's.
            code: of gRPC.
            error: what went wrong; None where nothing did.
        """
        _finish(span, error)
        if self._callee.meters is not None:
            self._callee.meters.invocation.answered(self._ids[0], str(code)).add()
        self._receive(code, UNARY)

    def begin_proxied(self, method: str, metadata: Pairs, kind: str) -> Span | None:
        """Note that a call is passed on unread; its app gets the metadata as they came.

        Args:
            method: ``/service/Method``.
            metadata: as they came.
            kind: `UNARY` or `STREAMING`.
        """
        self._send(kind)
        span = self._span(method, metadata)
        if span is not None and span.recording:
            for name, value in metadata:
                if name.startswith("dapr-") and isinstance(value, str):
                    span.attributes[name] = value
        return span

    def end_proxied(self, span: Span | None, kind: str, code: int, error: str | None) -> None:
        """Note how a call ended that was passed on unread."""
        _finish(span, error)
        self._receive(code, kind)

    def _send(self, kind: str) -> None:
        self._begun = self._caller.clock.now()
        if self._caller.meters is not None:
            self._caller.meters.invocation.sent(self._ids[1], kind).add()

    def _receive(self, code: int, kind: str) -> None:
        if self._caller.meters is None:
            return
        meters, target = self._caller.meters.invocation, self._ids[1]
        meters.answers(target, str(code), kind).add()
        if kind == UNARY:
            elapsed = (self._caller.clock.now() - self._begun) * 1000
            meters.latency(target, str(code)).record(float(int(elapsed)))

    def _span(self, name: str, headers: Pairs) -> Span | None:
        if self._callee.tracer is None:
            return None
        sent = dict(reversed(headers))
        parent = read_traceparent(sent.get("traceparent", ""), sent.get("tracestate", ""))
        return self._callee.tracer.start(name, Kind.SERVER, parent)


def _finish(span: Span | None, error: str | None) -> None:
    if span is not None:
        span.error = error
        span.finish()
