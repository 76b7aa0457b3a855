"""The trace of what is handled: read from what arrives, written to what is sent."""

import re
from collections.abc import Sequence
from typing import Any

import msgspec
from opentelemetry import baggage, propagate
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context, get_current
from opentelemetry.trace import (
    INVALID_SPAN_CONTEXT,
    Link,
    NonRecordingSpan,
    SpanContext,
    TraceFlags,
    TraceState,
    get_current_span,
)
from opentelemetry.trace.propagation import set_span_in_context

from daprflow.handlers.handler import Delivery
from daprflow.handlers.trace import RawHeaders, Source
from daprflow.protocol.cloudevents import CloudEvent
from daprflow.protocol.http import Headers

USUAL = frozenset({"tracecontext", "baggage"})
"""The propagators whose headers Dapr knows; they are read and written here without a detour."""
LINKS = 128
"""Events of a batch whose traces are linked to."""
_parent = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_NAME = b'"traceparent"'
_UNNAMED = _NAME + b':""'
"""What the runtime writes where no span is known."""
_named = re.compile(rb'"traceparent"\s*:\s*"[0-9a-f]').match
_baggage = W3CBaggagePropagator()


class _Traced(msgspec.Struct, frozen=True):
    traceparent: str = ""
    tracestate: str = ""


class _Entry(msgspec.Struct, frozen=True):
    event: msgspec.Raw


class _Batch(msgspec.Struct, frozen=True):
    entries: tuple[_Entry, ...] = ()


_envelope = msgspec.json.Decoder(_Traced)
_batch = msgspec.json.Decoder(_Batch)


class Current(Source):
    """What the running span is, for what is sent now; there is one such object."""

    def headers(self) -> Headers:
        """Return the headers that name the running span, and its baggage."""
        context = get_current()
        span = get_current_span(context).get_span_context()
        carrier = carried(span)
        if baggage.get_all(context):
            _baggage.inject(carrier, context)
        return tuple(carrier.items())


class Injected(Source):
    """As `Current`, by the propagators that ``OTEL_PROPAGATORS`` names."""

    def headers(self) -> Headers:
        """Return the headers."""
        carrier: dict[str, str] = {}
        propagate.inject(carrier)
        return tuple((name.lower(), value) for name, value in carrier.items())


def source(propagators: str) -> Source:
    """Return what gives the headers of calls; ``propagators`` is what the environment says."""
    return Current() if is_usual(propagators) else Injected()


def is_usual(propagators: str) -> bool:
    """Tell whether the propagators of that list are those of W3C."""
    return {each.strip() for each in propagators.split(",") if each.strip()} in (set(), USUAL)


def carried(span: SpanContext) -> dict[str, str]:
    """Return the headers that name a span; none where it is none."""
    if not span.is_valid:
        return {}
    carrier = {"traceparent": f"00-{span.trace_id:032x}-{span.span_id:016x}-{span.trace_flags:02x}"}
    if span.trace_state:
        carrier["tracestate"] = span.trace_state.to_header()
    return carrier


def span_context(parent: bytes, state: str = "") -> SpanContext | None:
    """Return the span that a ``traceparent`` names; None where it names none."""
    found = _parent.fullmatch(parent)
    if found is None:
        return None
    version, trace, span, flags, rest = found.groups()
    if version == b"ff" or (version == b"00" and rest):
        return None
    context = SpanContext(
        int(trace, 16),
        int(span, 16),
        is_remote=True,
        trace_flags=TraceFlags(int(flags, 16) & 3),
        trace_state=TraceState.from_header([state]) if state else None,
    )
    return context if context.is_valid else None


def context_of(headers: RawHeaders) -> Context:
    """Return the context that headers carry: a span and baggage, or nothing of it."""
    parent = state = b""
    carrier: dict[str, str] = {}
    for name, value in headers:
        if name == b"traceparent":
            parent = value
        elif name == b"tracestate":
            state = value
        elif name == b"baggage":
            carrier["baggage"] = value.decode("latin-1")
    context = Context()
    if carrier:
        context = _baggage.extract(carrier, context)
    span = span_context(parent, state.decode("latin-1")) if parent else None
    return context if span is None else set_span_in_context(NonRecordingSpan(span), context)


def extracted(headers: RawHeaders) -> Context:
    """As `context_of`, by the propagators that ``OTEL_PROPAGATORS`` names."""
    carrier = {name.decode("latin-1"): value.decode("latin-1") for name, value in headers}
    return propagate.extract(carrier, Context())


def span_of(context: Context) -> SpanContext:
    """Return the span of a context; an invalid one where it has none."""
    return get_current_span(context).get_span_context() if context else INVALID_SPAN_CONTEXT


def names_a_parent(body: bytes) -> bool:
    """Tell whether an event, or one of a batch, may name the span it was published in."""
    at = body.rfind(_NAME)  # the runtime writes it near the end; a search by the pattern is slower
    while at >= 0:
        if not body.startswith(_UNNAMED, at) and _named(body, at) is not None:
            return True
        at = body.rfind(_NAME, 0, at)
    return False


def enveloped(delivery: Delivery) -> SpanContext | None:
    """Return the span in which an event was published, where its envelope names one."""
    if not names_a_parent(delivery.body):
        return None
    return _published(delivery.body)


def enveloped_in(event: CloudEvent[Any]) -> SpanContext | None:
    """As `enveloped`, of an event that is decoded."""
    parent = event.traceparent
    if not parent or not parent.isascii():
        return None
    return span_context(parent.encode(), event.tracestate or "")


def links_of(delivery: Delivery) -> Sequence[Link]:
    """Return a link to the span in which each event of a batch was published."""
    if not names_a_parent(delivery.body):
        return ()
    try:
        entries = _batch.decode(delivery.body).entries
    except (ValueError, RecursionError):
        return ()
    found = [span for entry in entries if (span := _published(entry.event)) is not None]
    spans = {(span.trace_id, span.span_id): span for span in found}
    return [Link(span) for span in list(spans.values())[:LINKS]]


def _published(event: bytes | msgspec.Raw) -> SpanContext | None:
    try:
        found = _envelope.decode(event)
    except (ValueError, RecursionError):
        return None
    if not found.traceparent.isascii():
        return None
    return span_context(found.traceparent.encode(), found.tracestate)
