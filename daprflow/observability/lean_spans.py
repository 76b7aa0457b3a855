"""Spans that nobody samples: they are told apart first, and have ids only when somebody asks."""

import random
from collections.abc import Callable
from typing import Final

from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from daprflow.handlers.handler import Delivery
from daprflow.handlers.trace import RawHeaders
from daprflow.observability.trace_context import context_of, names_a_parent, span_of

UNSAMPLED: Final = TraceFlags(0)
_LENGTH: Final = 55
_FLAGS: Final = 53
_NOT_SAMPLED: Final = (b"00", b"02")
_NO_TRACE: Final = 32 * b"0"


class Kept:
    """Stands for a trace that begins here and is kept: nobody has to draw again."""


KEPT: Final = Kept()
Lean = Callable[[Delivery], "LeanSpan | Kept | None"]
"""Returns the span of a delivery that is surely not sampled; None where that is not known."""


class LeanSpan(NonRecordingSpan):
    """A span that is not sampled; its context is made when it is asked for."""

    def __init__(self) -> None:
        self._made: SpanContext | None = None

    def get_span_context(self) -> SpanContext:
        """Return its ids."""
        made = self._made
        if made is None:
            made = self._made = self._make()
        return made

    def _make(self) -> SpanContext:
        """Make a root."""
        return SpanContext(
            random.getrandbits(128) or 1,
            random.getrandbits(64) or 1,
            is_remote=False,
            trace_flags=UNSAMPLED,
        )

    def __repr__(self) -> str:
        return f"LeanSpan({self.get_span_context()!r})"


class _PassedOn(LeanSpan):
    """The span that a delivery's headers name."""

    def __init__(self, headers: RawHeaders) -> None:
        super().__init__()
        self._headers = headers

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
        parent = b""
        for name, value in delivery.raw_headers:
            if name == b"traceparent":
                parent = value
            elif name == b"baggage":
                return None
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
