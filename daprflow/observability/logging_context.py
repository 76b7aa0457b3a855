"""What every log line says of the delivery that it was written in."""

import re
import sys
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any, Final

from daprflow.handlers.handler import Delivery
from daprflow.handlers.verdicts import event_id
from daprflow.observability.redaction import cut, one_line
from daprflow.observability.watching import Handled

CORRELATION: Final = (b"x-correlation-id", b"x-request-id")
"""Headers that carry an id of whoever began, the first one first."""
ATTEMPT: Final = b"metadata.deliverycount"
"""What brokers that count deliveries say, as the runtime hands it on."""
_ID_SHOWN: Final = 128
_parent = re.compile(rb"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")
_NO_TRACE: Final = b"0" * 32

Ids = Callable[[], tuple[str, str] | None]
"""Returns trace and span of the code that runs, in hex; None where no span is made."""


class Bound:
    """One delivery that is being handled; what it says is looked up when somebody asks."""

    __slots__ = ("_fields", "delivery", "handled")

    def __init__(self, handled: Handled, delivery: Delivery) -> None:
        self.handled = handled
        self.delivery = delivery
        self._fields: Mapping[str, Any] | None = None

    @property
    def fields(self) -> Mapping[str, Any]:
        """What a line has of it."""
        if self._fields is None:
            handled = self.handled
            self._fields = {
                "block": handled.kind,
                "name": handled.name,
                "handler": handled.handler,
                **ids_of(self.delivery),
            }
        return self._fields


CURRENT: ContextVar[Bound | None] = ContextVar("daprflow_logged_delivery", default=None)
"""The delivery that is being handled."""


def span_ids() -> Ids:
    """Return what tells the ids of the span that is made, where OpenTelemetry is in use."""
    tracing: Any = sys.modules.get("opentelemetry.trace")
    if tracing is None:
        return lambda: None

    def ids() -> tuple[str, str] | None:
        context = tracing.get_current_span().get_span_context()
        if not context.is_valid:
            return None
        return f"{context.trace_id:032x}", f"{context.span_id:016x}"

    return ids


def ids_of(delivery: Delivery) -> dict[str, Any]:
    """Return the ids that a delivery brings: publishers and callers choose most of them."""
    found: dict[str, Any] = {}
    correlation = b""
    for name, value in delivery.raw_headers:
        if name == b"traceparent":
            match = _parent.fullmatch(value)
            if match is not None and match[1] != _NO_TRACE:
                found["trace_id"], found["span_id"] = match[1].decode(), match[2].decode()
        elif name in CORRELATION:
            if not correlation or name == CORRELATION[0]:
                correlation = value
        elif name == ATTEMPT and value.isdigit():
            found["attempt"] = int(value[:9])
    if correlation:
        found["correlation_id"] = shown(correlation.decode("latin-1"))
    if delivery.kind == "topic":
        event = event_id(delivery)
        if event != "?":
            found["event_id"] = shown(event[1:-1])
    return found


def shown(text: str) -> str:
    """Return an id that somebody else chose, as it may stand in a line."""
    return one_line(cut(text, _ID_SHOWN))
