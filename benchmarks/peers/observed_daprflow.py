"""Measured: the application of `typed_daprflow` with metrics, traces of 1 % and JSON logs."""

import sys
import tempfile
from collections.abc import Sequence
from typing import BinaryIO, cast

import msgspec
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from benchmarks.peers.serve import serve
from daprflow import DaprFlow, Topic
from daprflow.observability import Logs, Observability
from daprflow.observability.tracing_options import Sampling, TracingSettings
from daprflow.observability.tracing_setup import provider_by

SAMPLED = 0.01
PARTS = ("metrics", "traces", "logs")


class Order(msgspec.Struct):
    """The payload."""

    id: int


class Encoded(SpanExporter):
    """Makes of spans what OTLP sends, and sends it nowhere."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Encode them."""
        encode_spans(spans).SerializeToString()
        return SpanExportResult.SUCCESS


def make(*parts: str) -> DaprFlow:
    """Return the application, observed in these parts."""
    sampling = Sampling("parentbased_traceidratio", SAMPLED)  # as OTEL_TRACES_SAMPLER has it made
    provider = provider_by(TracingSettings(sampling=sampling))
    provider.add_span_processor(BatchSpanProcessor(Encoded()))
    lines = cast("BinaryIO", tempfile.TemporaryFile("wb", buffering=0))  # noqa: SIM115 - as long as the process
    app = DaprFlow(
        "bench",
        observability=Observability(
            metrics="metrics" in parts,
            tracing="traces" in parts,
            tracer_provider=provider,
            logs=Logs(stream=lines) if "logs" in parts else False,
        ),
    )

    @app.topic(Topic("pubsub", "orders", Order))
    async def on_order(order: Order) -> None:
        """Handle an order."""

    return app


if __name__ == "__main__":
    serve(make(*(sys.argv[1:] or PARTS)))
