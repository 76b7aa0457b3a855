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
from daprflow.observability.logging_context import (
    NO_PARENT,
    PARENT,
    Ids,
    brings_more,
    event_of,
    ids_of,
)
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
_SHORT: Final = tuple(f"{each / 1000:.3f}" for each in range(1000))
"""Milliseconds, by microseconds: most deliveries take less than one."""


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


class Success(msgspec.Struct, gc=False):
    """The line of a delivery that ended well, before it is written.

    It is out of the garbage collector's sight, since it waits in a `Sink` alone.

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
        headers = dict(delivery.raw_headers)
        parent = headers.get(PARENT) if own is None else None
        if (
            self.correlation
            or len(headers) != len(delivery.raw_headers)
            or brings_more(headers)
            or (parent is not None and not parent.startswith(NO_PARENT))
        ):
            found = ids_of(delivery, own, self.correlation)
            return self.lines.line(names.SUCCESS, self.seconds, self.moment, found)
        more = "" if own is None else f',"trace_id":"{own[0]}","span_id":"{own[1]}"'
        if event := event_of(delivery):  # nothing in it but quotes has to be escaped
            quoted = '"' in event or "\\" in event
            text = _encode(event).decode() if quoted else f'"{event}"'
            more = f'{more},"event_id":{text}'
        return self.lines.text(names.SUCCESS, self.seconds, self.moment, more)


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
        took = int(seconds * 1e6 + 0.5)
        spent = _SHORT[took] if 0 <= took < len(_SHORT) else f"{seconds * 1000:.3f}"
        return f"{before}{self._at(moment)}{after}{spent}{more}}}\n".encode()

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
