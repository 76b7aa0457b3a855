"""The line of a delivery: most of it is made before the first one comes."""

import logging
from collections.abc import Mapping
from time import time
from typing import Any, Final

import msgspec

from daprflow.handlers.handler import Delivery, Outcome
from daprflow.handlers.trace import DELIVERED, Source
from daprflow.handlers.verdicts import SUCCESS
from daprflow.observability import verdict_names as names
from daprflow.observability.correlation import CORRELATION_ID
from daprflow.observability.logging_context import Ids, brings_more, event_of, ids_of
from daprflow.observability.logging_errors import fields_of
from daprflow.observability.logging_sink import Sink, Stamp
from daprflow.observability.redaction import Redaction
from daprflow.observability.watching import Handled

SCOPE: Final = "daprflow.delivery"
LEVELS: Final[Mapping[str, int]] = {
    names.SUCCESS: logging.INFO,
    names.REFUSED: logging.INFO,
    names.RETRY: logging.WARNING,
    names.DROP: logging.WARNING,
    names.CANCELLED: logging.WARNING,
    names.ERROR: logging.ERROR,
}
LEVEL_NAMES: Final[Mapping[int, str]] = {
    logging.DEBUG: "debug",
    logging.INFO: "info",
    logging.WARNING: "warning",
    logging.ERROR: "error",
    logging.CRITICAL: "fatal",
}
"""Dapr's names."""
_encode = msgspec.json.encode


class Origin(msgspec.Struct, frozen=True):
    """What every line of a process says of it, in Dapr's fields.

    Attributes:
        app_id: the app's.
        instance: the machine's name, as the runtime gives it.
        ver: the version of daprflow.
    """

    app_id: str
    instance: str
    ver: str


class Line(msgspec.Struct):
    """What a delivery's line says besides what each line has."""

    verdict: str
    seconds: float
    outcome: Outcome | None = None
    error: BaseException | None = None


class Success(msgspec.Struct):
    """The line of a delivery that ended well, before it is written.

    Attributes:
        own: trace and span that it was handled in, or who knows them.
        correlation: the id that was bound meanwhile.
    """

    lines: "JsonLines"
    delivery: Delivery
    seconds: float
    moment: float
    own: "Source | tuple[str, str] | None"
    correlation: str

    def line(self) -> bytes:
        """Return it."""
        own = self.own.ids() if isinstance(self.own, Source) else self.own
        delivery = self.delivery
        if own is None or self.correlation or brings_more(delivery):
            found = ids_of(delivery, own, self.correlation)
            return self.lines.line(names.SUCCESS, self.seconds, self.moment, found)
        trace, span = own  # nearly always, so without a detour
        event = event_of(delivery)
        ids = f',"trace_id":"{trace}","span_id":"{span}"'
        if event:
            ids = f'{ids},"event_id":{_encode(event).decode()}'
        return self.lines.text(names.SUCCESS, self.seconds, self.moment, ids)


class JsonLines:
    """Writes the deliveries to one handler as JSON.

    Args:
        handled: the handler.
        origin: the process.
        sink: takes the lines.
        redaction: takes secrets out of what a handler raised.
        ids: of the span that is being made.
    """

    def __init__(
        self, handled: Handled, origin: Origin, sink: Sink, redaction: Redaction, ids: Ids
    ) -> None:
        self._sink = sink
        self._redaction = redaction
        self._ids = ids
        self._at = Stamp().at
        self._heads = {each: _head(handled, origin, each, redaction) for each in LEVELS}

    def succeeded(self, delivery: Delivery, seconds: float) -> None:
        """Write the line of a delivery that ended well."""
        given = DELIVERED.get()
        own = given if isinstance(given, Source) and given.knows_ids else self._ids()
        self._sink.soon(Success(self, delivery, seconds, time(), own, CORRELATION_ID.get()))

    def ended(self, delivery: Delivery, line: Line) -> None:
        """Write the line of a delivery that has ended."""
        found = ids_of(delivery, self._ids(), CORRELATION_ID.get())
        if line.outcome is not SUCCESS:
            self._add(found, line)
        self._sink.soon(self.line(line.verdict, line.seconds, time(), found))

    def line(self, verdict: str, seconds: float, moment: float, found: dict[str, Any]) -> bytes:
        """Return a line, with its end."""
        more = f",{_encode(found)[1:-1].decode()}" if found else ""
        return self.text(verdict, seconds, moment, more)

    def text(self, verdict: str, seconds: float, moment: float, more: str) -> bytes:
        """As `line`, with further fields that are JSON already, each with a comma before."""
        before, after = self._heads[verdict]
        return f"{before}{self._at(moment)}{after}{seconds * 1000:.3f}{more}}}\n".encode()

    def _add(self, found: dict[str, Any], line: Line) -> None:
        """Say what nearly no line has to."""
        if line.error is not None:
            told = line.verdict == names.ERROR
            found["error"] = fields_of(line.error, self._redaction, stack=told)
        if line.outcome is not None and line.outcome.error_id:
            found["error_id"] = line.outcome.error_id
        if line.outcome is not None and line.outcome.http_status != 200:  # noqa: PLR2004 - HTTP's good
            found["status"] = line.outcome.http_status


def _head(handled: Handled, origin: Origin, verdict: str, redaction: Redaction) -> tuple[str, str]:
    """Return what stands before the time and after it."""
    fields: dict[str, Any] = {
        **{name: redaction.text(getattr(origin, name)) for name in ("app_id", "instance", "ver")},
        "level": LEVEL_NAMES[LEVELS[verdict]],
        "msg": redaction.text(f"{handled.kind} {handled.name}: {verdict}"),
        "scope": SCOPE,
        "type": "log",
        "block": handled.kind,
        "name": redaction.text(handled.name),
        "handler": redaction.text(handled.handler),
        "verdict": verdict,
    }
    return _encode(fields)[:-1].decode() + ',"time":"', '","duration_ms":'
