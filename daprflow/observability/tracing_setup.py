"""The tracer provider of an app: the program's own, or one by the ``OTEL_*`` variables.

Loaded when traces are asked for; it needs the packages of the extra ``otel``.
"""

import asyncio
import os
import threading
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider as SdkProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SpanExporter
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    ALWAYS_ON,
    ParentBased,
    Sampler,
    TraceIdRatioBased,
)
from opentelemetry.trace import TracerProvider

from daprflow.client.interception import ClientInterceptor
from daprflow.errors import MissingExtra
from daprflow.observability.redaction import Redaction
from daprflow.observability.span_errors import SpanErrors
from daprflow.observability.spans import PlannedIds, Spans
from daprflow.observability.trace_context import is_usual, source
from daprflow.observability.tracing import Tracing, TracingWatcher
from daprflow.observability.tracing_options import EXTRA, Sampling, TracingSettings
from daprflow.settings import TOKEN_VARIABLES
from daprflow.span_export import QuietExporter

PATIENCE: Final = 2.0
"""Seconds that the end of an app waits for a collector to take the last spans."""
CONSOLE_DELAY: Final = 500.0
"""Milliseconds until a span is shown on the terminal."""


class OwnProvider(SdkProvider):
    """The provider that was made here; it lives as long as the process.

    Attributes:
        ratio: how many of the traces are kept that begin here; None where that is not all that is
            asked.
        ids: makes the ids of its spans.
    """

    def __init__(self, settings: TracingSettings) -> None:
        self.ids = PlannedIds()
        self.ratio = settings.sampling.ratio if settings.sampling.follows_parents else None
        named = {"service.name": settings.service} if settings.service else {}
        super().__init__(
            sampler=_sampler(settings.sampling),
            resource=Resource.create(named),
            shutdown_on_exit=False,  # it would wait for a collector that is away
            id_generator=self.ids,
        )


def watcher_of(
    provider: TracerProvider | None, app_id: str, environ: Mapping[str, str]
) -> TracingWatcher:
    """Return what makes the spans of an app with a provider that there is."""
    if provider is None:  # pragma: no cover - asked for with one
        raise RuntimeError("no tracer provider is set up")
    return TracingWatcher(lambda: tracing(provider, app_id, environ), _flushed)


def watcher_by(
    settings: TracingSettings, app_id: str, environ: Mapping[str, str]
) -> TracingWatcher:
    """Return what makes the spans of an app as the environment says; checks it.

    Raises:
        MissingExtra: an exporter is not installed.
    """
    check(settings)

    def begin() -> Tracing:
        provider: Any = trace.get_tracer_provider()
        if isinstance(provider, trace.ProxyTracerProvider):
            provider = provider_by(settings)
            trace.set_tracer_provider(provider)
        return tracing(provider, app_id, environ)

    return TracingWatcher(begin, _flushed)


def tracing(provider: TracerProvider, app_id: str, environ: Mapping[str, str]) -> Tracing:
    """Return what spans are made with."""
    ratio = ids = None
    if isinstance(provider, OwnProvider):
        ratio, ids = provider.ratio, provider.ids
    spans = Spans(provider, version("daprflow"), ratio, ids)
    redaction = Redaction(environ.get(name, "") for name in TOKEN_VARIABLES)
    propagators = environ.get("OTEL_PROPAGATORS", "")
    return Tracing(
        app_id,
        spans,
        SpanErrors(redaction),
        source(propagators),
        usual=is_usual(propagators),
    )


def calls(provider: TracerProvider | None) -> ClientInterceptor:
    """Return what puts spans around the calls of a client."""
    made = provider or trace.get_tracer_provider()
    return tracing(made, "", os.environ).intercept


def provider_by(settings: TracingSettings) -> OwnProvider:
    """Return a provider whose exporters work in threads of their own."""
    provider = OwnProvider(settings)
    for name in settings.exporters:
        exporter = QuietExporter(_WHERE[name], exporter_of(name, settings.protocol))
        delay = CONSOLE_DELAY if name == "console" else None
        provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=delay))
    return provider


def check(settings: TracingSettings) -> None:
    """Load what the settings name.

    Raises:
        MissingExtra: an exporter is not installed.
    """
    for name in settings.exporters:
        _load(name, settings.protocol)


def exporter_of(name: str, protocol: str) -> SpanExporter:
    """Return an exporter; it reads its endpoint and headers from the environment."""
    kind = _load(name, protocol)
    if kind is ConsoleSpanExporter:
        return ConsoleSpanExporter(formatter=lambda span: f"{span.to_json(indent=None)}\n")
    exporter: SpanExporter = kind()
    return exporter


def _load(name: str, protocol: str) -> Any:
    # Imported where they are needed: each loads much.
    try:
        if name == "console":
            return ConsoleSpanExporter
        if name == "zipkin":
            from opentelemetry.exporter.zipkin.json import ZipkinExporter  # noqa: PLC0415

            return ZipkinExporter
        if protocol == "grpc":
            from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import (  # noqa: PLC0415
                OTLPSpanExporter as OverGrpc,
            )

            return OverGrpc
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
            OTLPSpanExporter,
        )
    except ImportError:
        raise MissingExtra(f"sending traces by '{name}'", EXTRA) from None
    return OTLPSpanExporter


def _sampler(sampling: Sampling) -> Sampler:
    name = sampling.name.removeprefix("parentbased_")
    roots: dict[str, Sampler] = {"always_on": ALWAYS_ON, "always_off": ALWAYS_OFF}
    root = roots.get(name) or TraceIdRatioBased(sampling.ratio)
    return ParentBased(root) if sampling.follows_parents else root


async def _flushed(tracing: Tracing) -> None:
    """Have what is collected sent now; a collector that is away holds the end up for a moment.

    In a thread that nobody waits for: neither the loop's end nor the process's.
    """
    flush = getattr(tracing.spans.provider, "force_flush", None)
    if flush is None:
        return
    loop = asyncio.get_running_loop()
    done = asyncio.Event()

    def run() -> None:
        try:
            flush(int(PATIENCE * 1000))
        finally:
            if not loop.is_closed():
                loop.call_soon_threadsafe(done.set)

    threading.Thread(target=run, name="daprflow traces", daemon=True).start()
    try:
        async with asyncio.timeout(PATIENCE):
            await done.wait()
    except TimeoutError:
        return


_WHERE: Final = {"otlp": "the OTLP collector", "zipkin": "Zipkin", "console": "the terminal"}
