"""Makes spans: which of them are recorded, and where those go when they end."""

import os
from collections.abc import Mapping
from enum import Enum
from random import Random
from typing import Final, Protocol

from daprflow.sidecar.clock import Clock
from daprflow.sidecar.telemetry.trace_context import SAMPLED, TraceContext

DEFAULT_RATE: Final = 1e-4
"""The real runtime's, where an exporter is named and no rate, or none that is a number."""

Attribute = str | int


class Kind(Enum):
    """What a span is of a call."""

    CLIENT = "client"
    SERVER = "server"
    PRODUCER = "producer"
    INTERNAL = "internal"


class SpanEvent:
    """Something that happened in the course of a span; time in seconds."""

    __slots__ = ("attributes", "name", "time")

    def __init__(self, name: str, time: float, attributes: Mapping[str, Attribute]) -> None:
        self.name = name
        self.time = time
        self.attributes = attributes


class Span:
    """One piece of work.

    Attributes:
        context: what calls made within it carry.
        parent: the span it belongs to; None begins a trace.
        start: seconds since 1970.
        error: what went wrong; None where nothing did, or nobody knows.
    """

    __slots__ = (
        "_tracer", "attributes", "context", "end", "error", "events", "kind", "name", "parent",
        "start",
    )  # fmt: skip

    def __init__(
        self,
        tracer: "Tracer",
        name: str,
        kind: Kind,
        context: TraceContext,
        parent: TraceContext | None,
    ) -> None:
        self._tracer = tracer
        self.name = name
        self.kind = kind
        self.context = context
        self.parent = parent
        self.start = tracer.clock.now()
        self.end = 0.0
        self.attributes: dict[str, Attribute] = {}
        self.events: list[SpanEvent] = []
        self.error: str | None = None

    @property
    def recording(self) -> bool:
        """Whether anybody will see what the span says."""
        return self.context.sampled

    def finish(self) -> None:
        """End the span; one that is recorded goes to where spans go."""
        if self.context.sampled:
            self.end = self._tracer.clock.now()
            self._tracer.sink.take(self)


class Sink(Protocol):
    """Where spans go."""

    def take(self, span: Span, /) -> None:
        """Take a span that has ended; never waits."""
        ...

    def close(self) -> None:
        """Send what is left; may wait a little, so call it in a thread."""
        ...


class Nowhere:
    """Where spans go that nobody collects."""

    def take(self, span: Span, /) -> None:
        """Forget the span."""

    def close(self) -> None:
        """Do nothing."""


class Tracer:
    """Makes the spans of one sidecar.

    A span whose caller has a trace is recorded if the caller's is; others by the rate.

    Args:
        rate: from 0 to 1.
        sink: where they go.
        clock: gives their times.
    """

    __slots__ = ("_bound", "_random", "clock", "sink")

    def __init__(self, rate: float, sink: Sink, clock: Clock) -> None:
        self._random = Random(os.urandom(16))  # noqa: S311 - ids need to differ, not to be secret
        self._bound = int(min(max(rate, 0.0), 1.0) * (1 << 63))
        self.sink = sink
        self.clock = clock

    def start(self, name: str, kind: Kind, parent: TraceContext | None) -> Span:
        """Begin a span."""
        span_id = f"{self._random.getrandbits(64) or 1:016x}"
        if parent is None:
            number = self._random.getrandbits(128) or 1
            sampled = (number & ((1 << 64) - 1)) >> 1 < self._bound
            context = TraceContext(f"{number:032x}", span_id, SAMPLED if sampled else 0)
        else:
            context = TraceContext(parent.trace_id, span_id, parent.flags & SAMPLED, parent.state)
        return Span(self, name, kind, context, parent)

    def root(self) -> TraceContext:
        """Return the context of a trace of its own, which is recorded."""
        number, span = self._random.getrandbits(128) or 1, self._random.getrandbits(64) or 1
        return TraceContext(f"{number:032x}", f"{span:016x}", SAMPLED)


def rate_of(text: str) -> float:
    """Read a sampling rate as the real runtime does."""
    try:
        return float(text)
    except ValueError:
        return DEFAULT_RATE
