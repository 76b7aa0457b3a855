"""Chooses where spans go; what sends them is loaded only where a configuration names it."""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Sequence

from daprflow.errors import MissingExtra
from daprflow.protocol.configuration_file import TracingSpec
from daprflow.sidecar.components.base import ComponentError
from daprflow.sidecar.telemetry.tracer import Nowhere, Sink, Span

logger = logging.getLogger(__name__)

LAST_WORDS = 2.0
"""Seconds that spans may still take to go out when a sidecar ends."""


class Printed:
    """Writes each span as a line of the log (``stdout: true``)."""

    def take(self, span: Span, /) -> None:
        """Write a span."""
        parent = span.parent.span_id if span.parent else "0" * 16
        logger.info(
            "[%s] Trace: %s Span: %s/%s Time: [%.6f -> %.6f] Annotations: %s",
            span.name,
            span.context.trace_id,
            parent,
            span.context.span_id,
            span.start,
            span.end,
            [event.name for event in span.events],
        )

    def close(self) -> None:
        """Do nothing."""


class Several:
    """Gives each span to several sinks."""

    def __init__(self, sinks: Sequence[Sink]) -> None:
        self._sinks = sinks

    def take(self, span: Span, /) -> None:
        """Hand a span on."""
        for sink in self._sinks:
            sink.take(span)

    def close(self) -> None:
        """Close them all."""
        for sink in self._sinks:
            sink.close()


def make_sink(spec: TracingSpec, service: str) -> Sink:
    """Return where the spans of one sidecar go.

    Args:
        spec: of the configuration.
        service: the app's id.

    Raises:
        ComponentError: the library of an exporter is not installed.
    """
    sinks: list[Sink] = [Printed()] if spec.stdout else []
    if spec.zipkin or (spec.otel.endpoint and spec.otel.protocol):
        try:
            from daprflow.sidecar.telemetry.otel_export import (  # noqa: PLC0415 - an extra
                Batches,
                exporters_of,
            )

            sinks.append(Batches(exporters_of(spec), service))
        except ImportError:
            missing = MissingExtra("sending the sidecar's traces (spec.tracing)", "otel")
            raise ComponentError(str(missing)) from None
    if len(sinks) > 1:
        return Several(sinks)
    return sinks[0] if sinks else Nowhere()


def close_in_thread(sink: Sink) -> asyncio.Future[None]:
    """Begin to close a sink; a collector that is away holds up nobody's end."""
    loop = asyncio.get_running_loop()
    closed: asyncio.Future[None] = loop.create_future()

    def close() -> None:
        sink.close()
        with contextlib.suppress(RuntimeError):  # nobody waited, and the loop is closed
            loop.call_soon_threadsafe(_done, closed)

    threading.Thread(target=close, name="last-spans", daemon=True).start()
    return closed


def _done(closed: asyncio.Future[None]) -> None:
    if not closed.done():
        closed.set_result(None)
