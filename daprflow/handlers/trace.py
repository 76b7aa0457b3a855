"""The W3C trace context that calls of a sidecar take along: a delivery's, or one given."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

from daprflow.protocol.http import Headers

RawHeaders = Sequence[tuple[bytes, bytes]]


class Source:
    """Knows the trace that calls take along at the moment they are made, as a tracer does."""

    knows_ids = False
    """Whether `ids` are those of what is handled, now and later."""

    def headers(self) -> Headers:
        """Return its headers."""
        raise NotImplementedError

    def ids(self) -> tuple[str, str] | None:
        """Return its trace and span in hex; None where there are none."""
        return None


Delivered = RawHeaders | Source
"""Where the trace of calls comes from: the headers of a delivery as they came, or a tracer."""

DELIVERED: ContextVar[Delivered | None] = ContextVar("daprflow_delivered", default=None)
"""What is being handled; looked at only when a call is made."""

_NAMES = frozenset({b"traceparent", b"tracestate", b"baggage"})
_parent = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


def headers_of(delivered: Delivered) -> Headers:
    """Return the trace headers among ``delivered`` as pairs to send.

    A runtime without tracing sends a parent of zeros, which is none, and a state belongs to its
    parent.
    """
    if isinstance(delivered, Source):
        return delivered.headers()
    found = {name: value.decode("latin-1") for name, value in delivered if name in _NAMES}
    parent = found.get(b"traceparent", "")
    if not _names_a_parent(parent):
        found.pop(b"traceparent", None)
        found.pop(b"tracestate", None)
    return tuple((name.decode(), value) for name, value in found.items())


def missing(headers: Headers) -> Headers:
    """Return the trace headers of what is being handled that ``headers`` do not have."""
    delivered = DELIVERED.get()
    if delivered is None:
        return ()
    given = {name for name, _ in headers}
    return tuple(pair for pair in headers_of(delivered) if pair[0] not in given)


@contextmanager
def trace_context(traceparent: str, *, tracestate: str = "", baggage: str = "") -> Iterator[None]:
    """Send this W3C trace context with every call of a sidecar made inside the block.

    In a handler, the delivery's own goes along without it. Dapr hands a trace on only to whom it
    is told of: publishing, state and the other calls are part of a trace when the caller sends it.

    Args:
        traceparent: such as ``00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01``.
        tracestate: what vendors add to it.
        baggage: ``key=value`` pairs, separated by commas.

    Yields:
        nothing; calls inside the block carry it.

    Raises:
        ValueError: ``traceparent`` is not one.

    Example:
        ```python
        with trace_context("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"):
            await client.publish(orders, Order("7"))
        ```
    """
    if not _names_a_parent(traceparent):
        raise ValueError(
            f"traceparent {traceparent!r} is none; it is written as "
            "'00-<32 hex digits>-<16 hex digits>-01'"
        )
    pairs = (("traceparent", traceparent), ("tracestate", tracestate), ("baggage", baggage))
    raw = [(name.encode(), value.encode("latin-1")) for name, value in pairs if value]
    token = DELIVERED.set(raw)
    try:
        yield
    finally:
        DELIVERED.reset(token)


def _names_a_parent(text: str) -> bool:
    if not _parent.fullmatch(text):
        return False
    _, trace, span, _ = text.split("-")
    return bool(trace.strip("0") and span.strip("0"))
