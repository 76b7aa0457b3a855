"""Watches what a sidecar does with its app: deliveries, events of bindings, calls."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, Protocol, TypeVar

import msgspec

from daprflow.protocol.deliveries import Status
from daprflow.protocol.http import HttpRequest, HttpResponse, StreamedRequest, StreamedResponse
from daprflow.sidecar.app.base import BindingReply
from daprflow.sidecar.app.postman import NO_TRACE, Postman, Reading, TopicEntry, Verdict
from daprflow.sidecar.channel.base import AppChannel, AppUnreachable
from daprflow.sidecar.channel.rpc import Metadata, RpcAnswer, RpcFailed
from daprflow.sidecar.clock import Clock
from daprflow.sidecar.components.base import Message
from daprflow.sidecar.telemetry.grpc_status import name_of
from daprflow.sidecar.telemetry.http_errors import error_of
from daprflow.sidecar.telemetry.meters import Meters
from daprflow.sidecar.telemetry.metrics import Cell, Spread
from daprflow.sidecar.telemetry.trace_context import TraceContext, read_binary, read_traceparent
from daprflow.sidecar.telemetry.tracer import Kind, Span, Tracer

M = TypeVar("M", bound="_Sized")
_UNREACHED: Final = 500
_NOT_FOUND: Final = 404
_HTTP: Final = 100


class _Sized(Protocol):
    """A message of gRPC, as far as its size goes."""

    def ByteSize(self) -> int:  # noqa: N802 - the library's name
        """Return the bytes it takes on the wire."""
        ...


class AppWatch:
    """Watches one app.

    Args:
        clock: measures.
        meters: None measures nothing.
        tracer: None makes no spans.
        untraced: whether no call is part of any trace.
    """

    __slots__ = ("clock", "meters", "tracer", "untraced")

    def __init__(
        self, clock: Clock, meters: Meters | None, tracer: Tracer | None, *, untraced: bool
    ) -> None:
        self.clock = clock
        self.meters = meters
        self.tracer = tracer
        self.untraced = untraced

    def postman(self, inner: Postman, pubsub: str, topic: str) -> Postman:
        """Return what delivers the events of one subscription, watched."""
        return WatchedPostman(inner, self, pubsub, topic)

    def channel(self, inner: AppChannel) -> AppChannel:
        """Return the way to an HTTP app, watched."""
        if self.meters is None and not self.untraced:
            return inner
        return WatchedChannel(inner, self)

    def sent(self, metadata: Metadata) -> Metadata:
        """Return metadata as they go to a gRPC app.

        The context of a span goes in both of its forms, that of no trace in none.
        """
        if self.untraced:
            return tuple(pair for pair in metadata if pair[1] != NO_TRACE)
        if self.tracer is None:
            return metadata
        context = next((_read(value) for name, value in metadata if name == "traceparent"), None)
        if context is None:
            return metadata
        return (*metadata, ("grpc-trace-bin", context.binary))

    async def rpc(self, method: str, size: int, work: Awaitable[RpcAnswer[M]]) -> RpcAnswer[M]:
        """Count and measure a call of a gRPC app."""
        if self.meters is None:
            return await work
        meters, begun, status = self.meters.app_rpcs, self.clock.now(), "Unavailable"
        meters.sent(method).record(size)
        try:
            answer = await work
            status = "OK"
            meters.received(method).record(answer.message.ByteSize())
        except RpcFailed as failed:
            status = name_of(failed.code)
            raise
        finally:
            meters.record(method, status, (self.clock.now() - begun) * 1000)
        return answer

    async def rpc_probe(self, work: Awaitable[object]) -> None:
        """Count and measure a health check of a gRPC app."""
        if self.meters is None:
            await work
            return
        begun, status = self.clock.now(), "Unavailable"
        try:
            await work
            status = "OK"
        except RpcFailed as failed:
            status = name_of(failed.code)
            raise
        finally:
            elapsed = float(int((self.clock.now() - begun) * 1000))
            self.meters.rpc_probes(status).add()
            self.meters.rpc_probe_latencies(status).record(elapsed)

    async def binding(
        self,
        name: str,
        address: str,
        metadata: Mapping[str, str],
        post: Callable[[TraceContext | None], Awaitable[BindingReply]],
    ) -> BindingReply:
        """Have an event of an input binding delivered within a span.

        Args:
            name: of the binding.
            address: verb and path, or the name of the method.
            metadata: of the event, which may come with a trace.
            post: delivers it as part of a span.
        """
        if self.tracer is None:
            return await post(None)
        span = self.tracer.start(f"bindings/{name}", Kind.CLIENT, _context_in(metadata))
        try:
            reply = await post(span.context)
            if span.recording:
                _describe_binding(span, name, address, reply)
        finally:
            span.finish()
        return reply


def _read(value: str | bytes) -> TraceContext | None:
    return read_traceparent(value) if isinstance(value, str) else None


def _context_in(metadata: Mapping[str, str]) -> TraceContext | None:
    binary = metadata.get("grpc-trace-bin")
    if binary is not None:
        return read_binary(binary.encode("latin-1", "replace"))
    return read_traceparent(metadata.get("traceparent", ""))


def _describe_binding(span: Span, name: str, address: str, reply: BindingReply) -> None:
    said = span.attributes
    said["db.name"] = name
    said["db.system"] = "bindings"
    said["db.connection_string"] = address
    said["rpc.service"] = "Dapr"
    if reply.status >= _HTTP:
        span.error = error_of(reply.status)
    elif not reply.taken:
        span.error = reply.reason


class WatchedPostman:
    """Delivers the events of one subscription; each is a span and some numbers.

    Args:
        inner: delivers.
        watch: of the app.
        pubsub: name of the component.
        topic: what is subscribed to.
    """

    __slots__ = ("_good", "_inner", "_name", "_pubsub", "_topic", "_watch")

    def __init__(self, inner: Postman, watch: AppWatch, pubsub: str, topic: str) -> None:
        self._inner = inner
        self._watch = watch
        self._pubsub = pubsub
        self._topic = topic
        self._name = f"pubsub/{topic}"
        self._good: tuple[Cell, Spread] | None = None

    async def deliver(self, message: Message, reading: Reading, /) -> Verdict:
        """Deliver one event."""
        watch = self._watch
        span: Span | None = None
        if reading.traceparent is not None:
            span, reading = self._within(reading)
        begun = watch.clock.now()
        verdict: Verdict | None = None
        try:
            verdict = await self._inner.deliver(message, reading)
        finally:
            if span is not None:
                self._end(span, verdict)
            if watch.meters is not None:
                elapsed = (watch.clock.now() - begun) * 1000
                count, times = self._cells(watch.meters, verdict)
                count.value += 1
                times.record(elapsed)
        return verdict

    def _cells(self, meters: Meters, verdict: Verdict | None) -> tuple[Cell, Spread]:
        """Return the numbers of events that became of it what became of this one."""
        good = verdict is not None and verdict.status is Status.SUCCESS
        found = self._good if good else None
        if found is None:
            process, status = _words(verdict)
            found = meters.ingress.cells((self._pubsub, process, status, self._topic))
            if good:  # nearly always, so they are kept
                self._good = found
        return found

    def _within(self, reading: Reading) -> tuple[Span | None, Reading]:
        """Begin the span of a delivery, and have the event go as part of it."""
        watch = self._watch
        if watch.tracer is None:
            if not watch.untraced:
                return None, reading
            return None, msgspec.structs.replace(reading, traceparent=None)
        parent = read_traceparent(reading.traceparent or "")
        span = watch.tracer.start(self._name, Kind.CLIENT, parent)
        return span, msgspec.structs.replace(reading, traceparent=span.context.traceparent)

    def _end(self, span: Span, verdict: Verdict | None) -> None:
        if span.recording:
            self._describe(span)
            if verdict is None:
                span.error = "the app could not be reached"
            elif verdict.code:
                span.error = error_of(verdict.code) or verdict.reason
            elif verdict.reason == "the app answered 404":
                span.error = error_of(_NOT_FOUND)
        span.finish()

    def _describe(self, span: Span) -> None:
        span.attributes["messaging.system"] = "pubsub"
        span.attributes["messaging.destination.name"] = self._topic

    async def deliver_bulk(
        self, path: str, entries: Sequence[TopicEntry], /
    ) -> Mapping[str, Verdict]:
        """Deliver a batch; each event of it is a span."""
        watch = self._watch
        spans: list[Span] = []
        sent: list[TopicEntry] = []
        for entry in entries:
            reading = entry.reading
            if reading.traceparent is not None:
                span, reading = self._within(reading)
                if span is not None:
                    spans.append(span)
            sent.append(TopicEntry(entry.id, entry.message, reading))
        begun = watch.clock.now()
        verdicts: Mapping[str, Verdict] | None = None
        try:
            verdicts = await self._inner.deliver_bulk(path, sent)
        finally:
            common = None if verdicts is None else verdicts.get("")
            failed = verdicts is None or (len(verdicts) == 1 and common is not None)
            for span in spans:
                self._end(span, common if failed else Verdict(Status.SUCCESS))
            self._count(entries, verdicts, (watch.clock.now() - begun) * 1000)
        return verdicts

    def _count(
        self,
        entries: Sequence[TopicEntry],
        verdicts: Mapping[str, Verdict] | None,
        milliseconds: float,
    ) -> None:
        meters = self._watch.meters
        if meters is None:
            return
        meters.bulk_ingress.record(milliseconds, self._pubsub, "", self._topic)
        for entry in entries:
            verdict = None if verdicts is None else verdicts.get(entry.id, verdicts.get(""))
            meters.bulk_events(self._pubsub, _words(verdict)[0], self._topic).add()


def _words(verdict: Verdict | None) -> tuple[str, str]:
    """Return the labels of what became of an event: of its processing, and of the answer."""
    if verdict is None or verdict.status is Status.RETRY:
        return "retry", "retry"
    if verdict.status is Status.SUCCESS:
        return "success", "success"
    return "drop", "success" if verdict.reason == "the app answered DROP" else "drop"


class WatchedChannel:
    """Counts and measures the calls of an HTTP app.

    Args:
        inner: reaches the app.
        watch: of the app.
    """

    __slots__ = ("_inner", "_untraced", "_watch")

    def __init__(self, inner: AppChannel, watch: AppWatch) -> None:
        self._inner = inner
        self._watch = watch
        self._untraced = watch.untraced

    async def send(self, request: HttpRequest, /) -> HttpResponse:
        """Call the app and collect its answer."""
        if self._untraced:
            request = msgspec.structs.replace(request, headers=_without(request.headers))
        if self._watch.meters is None:
            return await self._inner.send(request)
        begun = self._watch.clock.now()
        try:
            response = await self._inner.send(request)
        except AppUnreachable:
            self._count(request, _UNREACHED, begun, 0, len(request.body))
            raise
        self._count(request, response.status, begun, len(response.body), len(request.body))
        return response

    async def stream(self, request: StreamedRequest, /) -> StreamedResponse:
        """Call the app with bodies in pieces both ways."""
        if self._untraced:
            request = StreamedRequest(
                request.method,
                request.target,
                _without(request.headers),
                request.chunks,
                request.length,
            )
        if self._watch.meters is None:
            return await self._inner.stream(request)
        begun = self._watch.clock.now()
        try:
            response = await self._inner.stream(request)
        except AppUnreachable:
            self._count(request, _UNREACHED, begun, 0, request.length or 0)
            raise
        size = _length(response.headers)
        self._count(request, response.status, begun, size, request.length or 0)
        return response

    async def check(self, request: HttpRequest, /) -> HttpResponse:
        """Make a health probe."""
        meters = self._watch.meters
        if meters is None:
            return await self._inner.check(request)
        begun, status = self._watch.clock.now(), _UNREACHED
        try:
            response = await self._inner.check(request)
            status = response.status
        finally:
            elapsed = float(int((self._watch.clock.now() - begun) * 1000))
            meters.probes(str(status)).add()
            meters.probe_latencies(str(status)).record(elapsed)
        return response

    async def probe(self) -> bool:
        """Tell whether the app accepts a connection now."""
        return await self._inner.probe()

    async def close(self) -> None:
        """Give back every connection."""
        await self._inner.close()

    def _count(
        self, request: HttpRequest | StreamedRequest, status: int, begun: float, *sizes: int
    ) -> None:
        """Count a call; the sizes are those of the answer and of the request."""
        watch = self._watch
        if watch.meters is not None:
            meters = watch.meters.app
            path = request.target.partition("?")[0]
            elapsed = (watch.clock.now() - begun) * 1000
            meters.cells(request.method, path, status).take(elapsed, *sizes)


def _without(headers: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """Return headers without the context of no trace."""
    return tuple(pair for pair in headers if pair[1] != NO_TRACE)


def _length(headers: tuple[tuple[str, str], ...]) -> int:
    for name, value in headers:
        if name == "content-length" and value.isdecimal():
            return int(value)
    return 0
