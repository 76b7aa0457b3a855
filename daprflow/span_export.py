"""Sending spans of app or sidecar to a collector that may be away: told once, never waited for."""

import logging
import threading
from collections.abc import Sequence

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

logger = logging.getLogger(__name__)

_sending = threading.local()


class QuietExporter(SpanExporter):
    """Says once that a collector is away, and once that it is back.

    Args:
        where: how the log calls it.
        exporter: sends.
    """

    def __init__(self, where: str, exporter: SpanExporter) -> None:
        self._where = where
        self._exporter = exporter
        self._away = False
        self._lost = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send a batch; one that cannot be sent is lost."""
        _mute()
        _sending.active = True
        reason = "it did not take them"
        try:
            result = self._exporter.export(spans)
        except Exception as error:  # noqa: BLE001 - each exporter has errors of its own
            result, reason = SpanExportResult.FAILURE, type(error).__name__
        finally:
            _sending.active = False
        if result is not SpanExportResult.SUCCESS:
            self._lost += len(spans)
            if not self._away:
                text = "traces cannot be sent to %s (%s); they are lost until it answers"
                logger.warning(text, self._where, reason)
            self._away = True
        elif self._away:
            text = "traces are sent to %s again; spans lost meanwhile: %d"
            logger.info(text, self._where, self._lost)
            self._away, self._lost = False, 0
        return result

    def shutdown(self) -> None:
        """Give back its connections."""
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Send at once what the exporter itself keeps."""
        return self._exporter.force_flush(timeout_millis)


class _NotOurs(logging.Filter):
    """Drops what an exporter logs while it sends a batch of ours: it says the same each time."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether the line may pass."""
        del record
        return not getattr(_sending, "active", False)


_not_ours = _NotOurs()


def _mute() -> None:
    for name in tuple(logging.root.manager.loggerDict):
        if name.startswith("opentelemetry.exporter"):
            logging.getLogger(name).addFilter(_not_ours)  # the same one is added once
