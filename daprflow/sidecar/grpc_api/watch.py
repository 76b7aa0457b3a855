"""Watches the calls on the gRPC API: a span and some numbers for each."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final

import grpc

from daprflow.sidecar.app.postman import NO_TRACE
from daprflow.sidecar.grpc_api.call import SERVICE
from daprflow.sidecar.grpc_api.methods import METHODS
from daprflow.sidecar.telemetry.grpc_status import name_of
from daprflow.sidecar.telemetry.telemetry import Telemetry
from daprflow.sidecar.telemetry.trace_context import TraceContext, read_traceparent
from daprflow.sidecar.telemetry.tracer import Kind, Span

_WORKFLOWS: Final = "/TaskHubSidecarService/"
_SECRET: Final = frozenset({"dapr-api-token"})
_TARGETS: Final = ("dapr-callee-app-id", "dapr-app-id")


class GrpcWatch:
    """Stands around the handlers of methods.

    Args:
        telemetry: of the sidecar; there is something to watch.
        app_id: the app's.
    """

    def __init__(self, telemetry: Telemetry, app_id: str) -> None:
        self._telemetry = telemetry
        self._app_id = app_id

    def handler(self, method: str, inner: Any) -> Any:
        """Return what answers a call of a method, watched."""
        if inner.request_streaming:

            async def streamed(requests: Any, context: Any) -> None:
                await self._serve(method, inner.stream_stream, requests, context)

            return grpc.stream_stream_rpc_method_handler(
                streamed, inner.request_deserializer, inner.response_serializer
            )
        if inner.response_streaming:

            async def stream(raw: bytes, context: Any) -> None:
                await self._serve(method, inner.unary_stream, raw, context)

            return grpc.unary_stream_rpc_method_handler(
                stream, inner.request_deserializer, inner.response_serializer
            )

        async def unary(raw: bytes, context: Any) -> Any:
            return await self._serve(method, inner.unary_unary, raw, context)

        return grpc.unary_unary_rpc_method_handler(
            unary, inner.request_deserializer, inner.response_serializer
        )

    async def _serve(
        self, method: str, handler: Callable[[Any, Any], Any], request: Any, context: Any
    ) -> Any:
        telemetry = self._telemetry
        begun = telemetry.clock.now()
        streaming = not isinstance(request, bytes)
        span = self._begin(method, context, streaming=streaming)
        watched = _Context(context, span, untraced=telemetry.untraced)
        answer = None
        try:
            answer = await handler(request, watched)
        except asyncio.CancelledError:
            watched.ended = watched.ended or (grpc.StatusCode.CANCELLED, "context canceled")
            raise
        finally:
            if span is not None:
                if span.recording:
                    self._describe(span, method, request, context)
                    span.error = None if watched.ended is None else watched.ended[1]
                span.finish()
            self._count(method, request, answer, watched, (telemetry.clock.now() - begun) * 1000)
        return answer

    def _begin(self, method: str, context: Any, *, streaming: bool) -> Span | None:
        tracer = self._telemetry.tracer
        if tracer is None:
            return None
        sent = _texts(context)
        kind = Kind.CLIENT
        if streaming or not method.startswith(SERVICE):
            kind = self._kind(method, sent)
        parent = read_traceparent(sent.get("traceparent", ""))
        return tracer.start(method, kind, parent)

    def _kind(self, method: str, sent: Mapping[str, str]) -> Kind:
        if method.startswith(_WORKFLOWS):
            return Kind.SERVER if method.endswith("/GetWorkItems") else Kind.CLIENT
        target = next((sent[name] for name in _TARGETS if name in sent), None)
        own = target == self._app_id and not method.startswith(SERVICE)
        return Kind.SERVER if own else Kind.CLIENT

    def _describe(self, span: Span, method: str, request: Any, context: Any) -> None:
        said = span.attributes
        for name, value in _texts(context).items():
            if name.startswith("dapr-") and name not in _SECRET:
                said[name] = value
        known = METHODS.get(method.removeprefix(SERVICE))
        if isinstance(request, bytes) and known is not None:
            _describe_request(span, method, known.request, request)
        if known is not None or method.startswith(_WORKFLOWS):
            said["dapr.protocol"] = "grpc"
            said["dapr.api"] = method

    def _count(
        self, method: str, request: Any, answer: Any, watched: "_Context", milliseconds: float
    ) -> None:
        status = "OK" if watched.ended is None else name_of(watched.ended[0].value[0])
        if self._telemetry.calls is not None:
            self._telemetry.calls.grpc(method, status, milliseconds)
        if self._telemetry.meters is None:
            return
        meters = self._telemetry.meters.rpcs
        meters.record(method, status, milliseconds)
        if isinstance(request, bytes):
            meters.received(method).record(len(request))
            meters.sent(method).record(0 if answer is None else answer.ByteSize())


class _Context:
    """A call's context: its metadata are those of the span, and what it ends with is noted."""

    def __init__(self, context: Any, span: Span | None, *, untraced: bool) -> None:
        self._context = context
        self._own = None if span is None else span.context
        self._untraced = untraced
        self.ended: tuple[grpc.StatusCode, str] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    def invocation_metadata(self) -> Any:
        """Return what came with the call, as part of its span."""
        pairs = self._context.invocation_metadata()
        if self._own is None:
            return pairs
        kept = [pair for pair in pairs or () if pair[0] not in {"traceparent", "tracestate"}]
        return (*kept, ("traceparent", self._own.traceparent))

    async def send_initial_metadata(self, pairs: Any) -> None:
        """Send metadata before the answer."""
        await self._context.send_initial_metadata(self._answered(pairs))

    def set_trailing_metadata(self, pairs: Any) -> None:
        """Say what follows the answer."""
        self._context.set_trailing_metadata(self._answered(pairs))

    async def abort(self, code: grpc.StatusCode, details: str = "", trailers: Any = ()) -> None:
        """End the call with an error."""
        self.ended = (code, details)
        await self._context.abort(code, details, self._answered(trailers))

    def _answered(self, pairs: Any) -> Any:
        """Return metadata for the caller: the context of no trace is the span's, or nothing."""
        if self._own is None and not self._untraced:
            return pairs
        return tuple(_of_span(pair, self._own) for pair in pairs if self._own or _says(pair))


def _says(pair: tuple[str, Any]) -> bool:
    return bool(pair[1] != NO_TRACE)


def _of_span(pair: tuple[str, Any], own: TraceContext | None) -> tuple[str, Any]:
    return pair if own is None or _says(pair) else (pair[0], own.traceparent)


def _texts(context: Any) -> dict[str, str]:
    pairs = context.invocation_metadata() or ()
    return {name: value for name, value in pairs if isinstance(value, str)}


def _describe_request(span: Span, method: str, kind: Any, raw: bytes) -> None:
    """Say what a call is about, as far as the real runtime says it."""
    name = method.removeprefix(SERVICE)
    describe = _REQUESTS.get(name)
    if describe is None:
        return
    try:
        request = kind.FromString(raw)
    except Exception:  # noqa: BLE001 - the call itself has told what is wrong with it
        return
    describe(span, method, request)


def _database(system: str, field: str) -> Callable[[Span, str, Any], None]:
    def describe(span: Span, method: str, request: Any) -> None:
        said = span.attributes
        if name := getattr(request, field):
            said["db.name"] = name
        said["rpc.service"] = "Dapr"
        said["db.system"] = said["db.connection_string"] = system
        said["db.statement"] = method

    return describe


def _topic(span: Span, method: str, request: Any) -> None:
    del method
    said = span.attributes
    said["rpc.service"] = "Dapr"
    said["messaging.system"] = "pubsub"
    if request.topic:
        said["messaging.destination.name"] = request.topic


def _invocation(span: Span, method: str, request: Any) -> None:
    del method
    span.attributes["rpc.service"] = "ServiceInvocation"
    span.attributes["net.peer.name"] = request.id
    span.name = f"CallLocal/{request.id}/{request.message.method}"


def _conversation(span: Span, method: str, request: Any) -> None:
    del method
    span.attributes["rpc.system"] = request.name


_state = _database("state", "store_name")
_REQUESTS: Mapping[str, Callable[[Span, str, Any], None]] = {
    "InvokeService": _invocation,
    "PublishEvent": _topic,
    "BulkPublishEvent": _topic,
    "BulkPublishEventAlpha1": _topic,
    "InvokeBinding": _database("bindings", "name"),
    "GetState": _state,
    "SaveState": _state,
    "DeleteState": _state,
    "GetSecret": _database("secrets", "store_name"),
    "ConverseAlpha1": _conversation,
    "ConverseAlpha2": _conversation,
}
