"""Spans that nobody samples: they are told apart first, and have ids only when somebody asks."""

import random
from collections.abc import Callable
from enum import Enum
from typing import Final

from opentelemetry.context import Context
from opentelemetry.trace import INVALID_SPAN, NonRecordingSpan, SpanContext, TraceFlags
from opentelemetry.trace.propagation import set_span_in_context

from daprflow.handlers.handler import Delivery
from daprflow.handlers.trace import RawHeaders, Source
from daprflow.observability.trace_context import Current, context_of, names_a_parent, span_of
from daprflow.protocol.http import Headers

UNSAMPLED: Final = TraceFlags(0)
_LENGTH: Final = 55
_FLAGS: Final = 53
_NOT_SAMPLED: Final = (b"00", b"02")
_NO_TRACE: Final = 32 * b"0"
_TRACE: Final = 32
"""Digits of a trace's id; a span's has half of them."""
HELD: Final = next(iter(set_span_in_context(INVALID_SPAN, Context())))
"""Where a context holds its span."""
_around: Final = Current().headers


class Kept(Enum):
    """Stands for a trace that begins here and is kept: nobody has to draw again."""

    KEPT = "kept"


KEPT: Final = Kept.KEPT
Lean = Callable[[Delivery], "LeanSpan | Kept | None"]
"""Returns the span of a delivery that is surely not sampled; None where that is not known."""


class LeanSpan(NonRecordingSpan, Source):
    """A span that is not sampled; its ids are made when they are asked for."""

    knows_ids = True
    _ids: tuple[str, str] | None = None
    _made: SpanContext | None = None

    # Nothing is made yet, and no function of Python is called: nearly every delivery has one.
    __init__ = object.__init__

    def get_span_context(self) -> SpanContext:
        """Return its ids, as OpenTelemetry has them."""
        made = self._made
        if made is None:
            made = self._made = self._make()
        return made

    def ids(self) -> tuple[str, str] | None:
        """Return its trace and itself, in hex."""
        found = self._ids
        if found is None:
            drawn = random.getrandbits(192).to_bytes(24, "big").hex()
            found = self._ids = (drawn[:_TRACE], drawn[_TRACE:])
        return found

    def headers(self) -> Headers:
        """Return what goes along with a call that is made while this is handled."""
        return _around()

    def _make(self) -> SpanContext:
        trace, span = self.ids() or ("", "")
        return SpanContext(
            int(trace, 16) or 1, int(span, 16) or 1, is_remote=False, trace_flags=UNSAMPLED
        )

    def __repr__(self) -> str:
        return f"LeanSpan({self.get_span_context()!r})"


class _PassedOn(LeanSpan):
    """The span that a delivery's headers name."""

    def __init__(self, headers: RawHeaders) -> None:
        self._headers = headers

    def ids(self) -> tuple[str, str] | None:
        """Return them as OpenTelemetry reads them, so that what is none is none here, too."""
        span = self.get_span_context()
        return (f"{span.trace_id:032x}", f"{span.span_id:016x}") if span.is_valid else None

    def _make(self) -> SpanContext:
        return span_of(context_of(self._headers))


def lean(ratio: float | None, *, is_event: bool) -> Lean:
    """Return what finds the deliveries that are not sampled, where parents are followed.

    Args:
        ratio: how many of the traces are kept that begin here; None where that is not known.
        is_event: whether a delivery may name its parent in an envelope.
    """
    draw = random.random

    def find(delivery: Delivery) -> LeanSpan | Kept | None:
        headers = dict(delivery.raw_headers)
        if b"baggage" in headers:
            return None
        parent = headers.get(b"traceparent")
        if parent and parent[3:35] != _NO_TRACE:
            is_passed_on = (
                len(parent) == _LENGTH and parent[:3] == b"00-" and parent[_FLAGS:] in _NOT_SAMPLED
            )
            return _PassedOn(delivery.raw_headers) if is_passed_on else None
        if ratio is None or (is_event and names_a_parent(delivery.body)):
            return None
        return KEPT if draw() < ratio else LeanSpan()

    return find


def undecided(_: Delivery) -> None:
    """Find nothing: who makes the spans decides of each."""
