"""Sends spans by the exporters of OpenTelemetry, from a thread of their own; loaded when needed."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from daprflow.protocol.configuration_file import OtelSpec, TracingSpec
from daprflow.sidecar.telemetry.trace_context import TraceContext
from daprflow.sidecar.telemetry.tracer import Kind, Span
from daprflow.span_export import QuietExporter

BATCH_SECONDS: Final = 5.0
_SECOND = 1_000_000_000
_SCOPE = InstrumentationScope("dapr-diagnostics")
_KINDS = {
    Kind.CLIENT: SpanKind.CLIENT,
    Kind.SERVER: SpanKind.SERVER,
    Kind.PRODUCER: SpanKind.PRODUCER,
    Kind.INTERNAL: SpanKind.INTERNAL,
}


class Batches:
    """Keeps spans and sends them now and then; a collector that is away delays nobody.

    Args:
        exporters: where they go, and how that is called in the log.
        service: the app's id; OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES come first.
        seconds: between two looks at what there is to send.
    """

    def __init__(
        self,
        exporters: Sequence[tuple[str, SpanExporter]],
        service: str,
        seconds: float = BATCH_SECONDS,
    ) -> None:
        own = Resource({"service.name": service})
        self._resource = own.merge(OTELResourceDetector().detect())
        self._processors = [
            BatchSpanProcessor(QuietExporter(where, exporter), schedule_delay_millis=seconds * 1000)
            for where, exporter in exporters
        ]

    def take(self, span: Span, /) -> None:
        """Put a span on the heap of what is sent next; a full one loses it."""
        readable = _readable(span, self._resource)
        for processor in self._processors:
            processor.on_end(readable)

    def close(self) -> None:
        """Send what is left and end the threads."""
        for processor in self._processors:
            processor.shutdown()  # type: ignore[no-untyped-call]  # the library's


def exporters_of(spec: TracingSpec) -> list[tuple[str, SpanExporter]]:
    """Return what a configuration names.

    Raises:
        ImportError: a library is missing.
    """
    made: list[tuple[str, SpanExporter]] = []
    if spec.zipkin:
        from opentelemetry.exporter.zipkin.json import ZipkinExporter  # noqa: PLC0415 - seldom used

        made.append((f"Zipkin at {spec.zipkin}", ZipkinExporter(endpoint=spec.zipkin)))
    if spec.otel.endpoint and spec.otel.protocol:
        make = _PROTOCOLS[spec.otel.protocol]
        made.append((f"OTLP at {spec.otel.endpoint}", make(spec.otel, dict(spec.otel.headers))))
    return made


def _over_http(spec: OtelSpec, headers: Mapping[str, str]) -> SpanExporter:
    from opentelemetry.exporter.otlp.proto.http import trace_exporter  # noqa: PLC0415 - seldom used

    scheme = "https" if spec.is_secure else "http"
    path = "" if "/" in spec.endpoint else "/v1/traces"
    url = f"{scheme}://{spec.endpoint}{path}"
    return trace_exporter.OTLPSpanExporter(url, headers=headers, timeout=spec.timeout)


def _over_grpc(spec: OtelSpec, headers: Mapping[str, str]) -> SpanExporter:
    from opentelemetry.exporter.otlp.proto.grpc import trace_exporter  # noqa: PLC0415 - seldom used

    return trace_exporter.OTLPSpanExporter(
        spec.endpoint,
        insecure=not spec.is_secure,
        headers=tuple(headers.items()),
        timeout=spec.timeout,
    )


_PROTOCOLS: Mapping[str, Callable[[OtelSpec, Mapping[str, str]], SpanExporter]] = {
    "http": _over_http,
    "grpc": _over_grpc,
}


def _readable(span: Span, resource: Resource) -> ReadableSpan:
    status = Status() if span.error is None else Status(StatusCode.ERROR, span.error)
    return ReadableSpan(
        span.name,
        context=_context(span.context),
        parent=None if span.parent is None else _context(span.parent, remote=True),
        resource=resource,
        attributes=span.attributes,
        events=tuple(
            Event(event.name, event.attributes, int(event.time * _SECOND)) for event in span.events
        ),
        kind=_KINDS[span.kind],
        status=status,
        start_time=int(span.start * _SECOND),
        end_time=int(span.end * _SECOND),
        instrumentation_scope=_SCOPE,
    )


def _context(context: TraceContext, *, remote: bool = False) -> SpanContext:
    return SpanContext(
        int(context.trace_id, 16),
        int(context.span_id, 16),
        remote,
        TraceFlags(context.flags),
        TraceState.from_header([context.state]) if context.state else None,
    )
