"""What every log line says of the delivery that it was written in."""

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from typing import Any, Final

import msgspec

from daprflow.handlers.handler import Delivery
from daprflow.observability.correlation import CORRELATION_ID
from daprflow.observability.redaction import cut, one_line
from daprflow.observability.watching import Handled

CORRELATION: Final = (b"x-correlation-id", b"x-request-id")
"""Headers that carry an id of whoever began, the first one first."""
ATTEMPT: Final = b"metadata.deliverycount"
"""What brokers that count deliveries say, as the runtime hands it on."""
_ID_SHOWN: Final = 128
_parent = re.compile(rb"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")
PARENT: Final = b"traceparent"
NO_PARENT: Final = b"00-00000000000000000000000000000000-"
"""What a runtime without tracing sends."""
_MORE: Final = frozenset({ATTEMPT, *CORRELATION})
_WANTED: Final = _MORE | {PARENT}


class _Identified(msgspec.Struct, frozen=True):
    id: str = ""


_identify = msgspec.json.Decoder(_Identified).decode

Ids = Callable[[], tuple[str, str] | None]
"""Returns trace and span of the code that runs, in hex; None where no span is made."""


class Bound(msgspec.Struct):
    """One delivery that is being handled; what it says is looked up when somebody asks.

    A Struct, since one is made for each delivery.
    """

    handled: Handled
    delivery: Delivery
    found: Mapping[str, Any] | None = None

    @property
    def fields(self) -> Mapping[str, Any]:
        """What a line has of it."""
        if self.found is None:
            handled = self.handled
            self.found = {
                "block": handled.kind,
                "name": handled.name,
                "handler": handled.handler,
                **ids_of(self.delivery, None, CORRELATION_ID.get()),
            }
        return self.found


CURRENT: ContextVar[Bound | None] = ContextVar("daprflow_logged_delivery", default=None)
"""The delivery that is being handled."""


def span_ids() -> Ids:
    """Return what tells the ids of the span that is made, where OpenTelemetry is in use."""
    tracing: Any = sys.modules.get("opentelemetry.trace")
    if tracing is None:
        return lambda: None
    get_current = sys.modules["opentelemetry.context"].get_current  # that of traces needs it

    def ids() -> tuple[str, str] | None:
        current = get_current()
        if not current:  # nearly always, where nobody makes spans
            return None
        context = tracing.get_current_span(current).get_span_context()
        if not context.is_valid:
            return None
        return f"{context.trace_id:032x}", f"{context.span_id:016x}"

    return ids


def ids_of(delivery: Delivery, own: tuple[str, str] | None, correlation: str) -> dict[str, Any]:
    """Return the ids that a delivery brings: publishers and callers choose most of them.

    Args:
        delivery: what came.
        own: trace and span that it is handled in; they stand for those of the headers.
        correlation: the id that is bound; it stands for that of the headers.
    """
    found = _of_headers(delivery.raw_headers, own=own is not None)
    if own is not None:
        found["trace_id"], found["span_id"] = own
    if correlation:
        found["correlation_id"] = shown(correlation)
    if event := event_of(delivery):
        found["event_id"] = event
    return found


def event_of(delivery: Delivery) -> str:
    """Return the id of an event as it may stand in a line; empty where there is none."""
    if delivery.kind != "topic":
        return ""
    try:
        return shown(_identify(delivery.body).id)
    except (ValueError, RecursionError):
        return ""


def brings_more(headers: Mapping[bytes, bytes]) -> bool:
    """Tell whether the headers of a delivery have ids besides those of a trace."""
    return not _MORE.isdisjoint(headers)


def _of_headers(pairs: Sequence[tuple[bytes, bytes]], *, own: bool) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name not in _WANTED:
            continue
        if name == PARENT:
            if own or value.startswith(NO_PARENT):
                continue
            match = _parent.fullmatch(value)
            if match is not None:
                found["trace_id"], found["span_id"] = match[1].decode(), match[2].decode()
        elif name == ATTEMPT:
            if value.isdigit():
                found["attempt"] = int(value[:9])
        elif name == CORRELATION[0] or "correlation_id" not in found:
            found["correlation_id"] = shown(value.decode("latin-1"))
    return found


def shown(text: str) -> str:
    """Return an id that somebody else chose, as it may stand in a line."""
    if len(text) <= _ID_SHOWN and text.isprintable():
        return text
    return one_line(cut(text, _ID_SHOWN))
