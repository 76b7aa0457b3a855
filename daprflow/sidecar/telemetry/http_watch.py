"""Watches the calls on the HTTP API: a span and some numbers for each."""

from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import TYPE_CHECKING, Any

from daprflow.sidecar.http_api.trace import UNTRACED
from daprflow.sidecar.telemetry.http_spans import describe, path_of, raw_path_of
from daprflow.sidecar.telemetry.trace_context import TraceContext, read_traceparent
from daprflow.sidecar.telemetry.tracer import Kind, Span

if TYPE_CHECKING:
    from daprflow.sidecar.telemetry.telemetry import Telemetry

_Scope = MutableMapping[str, Any]
_Event = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[_Event]]
_Send = Callable[[_Event], Awaitable[None]]
_App = Callable[[_Scope, _Receive, _Send], Awaitable[None]]
_Pair = tuple[bytes, bytes]

_OF_A_TRACE = frozenset({b"traceparent", b"tracestate"})


class HttpWatch:
    """Stands around the HTTP API.

    Args:
        telemetry: of the sidecar; there is something to watch.
    """

    __slots__ = ("_calls", "_clock", "_meters", "_tracer", "_untraced")

    def __init__(self, telemetry: "Telemetry") -> None:
        meters = telemetry.meters
        self._calls = telemetry.calls
        self._clock = telemetry.clock
        self._meters = None if meters is None else meters.http
        self._tracer = telemetry.tracer
        self._untraced = telemetry.untraced

    async def serve(self, app: _App, scope: _Scope, receive: _Receive, send: _Send) -> None:
        """Have a call served, and watch it."""
        begun = self._clock.now()
        span: Span | None = None
        inner = scope
        if self._tracer is not None and "/healthz" not in (path := path_of(scope)):
            headers = scope["headers"]
            span = self._tracer.start(path, Kind.CLIENT, context_of(headers))
            inner = {**scope, "headers": within(headers, span.context)}
        elif self._untraced:
            inner = {**scope, UNTRACED: True}
        answer = _Answer(send)
        try:
            await app(inner, receive, answer)
        finally:
            status = answer.status
            if span is not None:
                if span.recording:
                    describe(span, scope, status)
                span.finish()
            elapsed = (self._clock.now() - begun) * 1000
            if self._calls is not None:
                self._calls.http(scope["method"], path_of(scope), status, elapsed)
            if self._meters is not None:
                raw = raw_path_of(scope).decode("latin-1")
                cells = self._meters.cells(scope["method"], raw, status)
                cells.take(elapsed, _length(scope["headers"]), answer.size)


class _Answer:
    """Passes an answer on, and remembers its status and size."""

    __slots__ = ("_send", "size", "status")

    def __init__(self, send: _Send) -> None:
        self._send = send
        self.status = 200
        self.size = 0

    def __call__(self, event: _Event) -> Awaitable[None]:
        if event["type"] == "http.response.start":
            self.status = event["status"]
        else:
            self.size += len(event.get("body", b""))
        return self._send(event)


def context_of(headers: Sequence[_Pair]) -> TraceContext | None:
    """Return the trace context of a call; None where it has none, or none that can be read."""
    found = {name: value for name, value in reversed(headers) if name in _OF_A_TRACE}
    parent = found.get(b"traceparent")
    if parent is None:
        return None
    state = found.get(b"tracestate", b"")
    return read_traceparent(parent.decode("latin-1"), state.decode("latin-1"))


def within(headers: Sequence[_Pair], context: TraceContext) -> list[_Pair]:
    """Return the headers of a call as part of another span."""
    kept = [pair for pair in headers if pair[0] not in _OF_A_TRACE]
    kept.append((b"traceparent", context.traceparent.encode("ascii")))
    if context.state:
        kept.append((b"tracestate", context.state.encode("latin-1")))
    return kept


def _length(headers: Sequence[_Pair]) -> int:
    for name, value in headers:
        if name == b"content-length":
            return int(value) if value.isdigit() else 0
    return 0
