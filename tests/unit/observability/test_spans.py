"""Starting spans: what nobody samples costs little, and ids can be planned."""

from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased
from opentelemetry.trace import INVALID_SPAN_CONTEXT, SpanContext, SpanKind, TraceFlags

from daprflow.handlers.handler import Delivery
from daprflow.observability.lean_spans import HELD, KEPT, LeanSpan, lean
from daprflow.observability.redaction import Redaction
from daprflow.observability.span_errors import SpanErrors
from daprflow.observability.span_names import turn
from daprflow.observability.spans import Description, Ids, Spans, derived
from daprflow.observability.trace_context import (
    context_of,
    is_usual,
    names_a_parent,
    span_context,
    span_of,
)
from daprflow.observability.tracing_options import Sampling, TracingSettings
from daprflow.observability.tracing_setup import OwnProvider
from daprflow.observability.workflow_spans import WorkflowSpans
from daprflow.protocol.history import Trace
from daprflow.protocol.workflow_actions import Turn
from daprflow.workflows.turns import WorkflowTurn

PARENT = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def own(ratio: float) -> Spans:
    """Return spans of a provider that was made here."""
    sampling = Sampling("parentbased_traceidratio", ratio)
    provider = OwnProvider(TracingSettings(sampling=sampling))
    return Spans(provider, "1", provider.ratio, provider.ids)


class Asked:
    """Describes spans, and counts how often."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self, about: Any) -> Description:
        self.times += 1
        return Description(str(about), SpanKind.CONSUMER, {})


def test_a_ratio_is_decided_before_anything_is_made() -> None:
    """Of many roots about the ratio is made; the others are never described."""
    asked = Asked()
    spans = own(0.1)
    made = [spans.begin(Context(), INVALID_SPAN_CONTEXT, asked, "a") for _ in range(3000)]
    recording = [each for each in made if each.is_recording()]
    assert len(recording) == asked.times
    assert 200 < len(recording) < 400
    contexts = [each.get_span_context() for each in made]
    assert all(each.is_valid for each in contexts)
    assert len({each.trace_id for each in contexts}) == len(made)
    flags = [bool(each.trace_flags & 1) for each in contexts]
    assert flags == [each.is_recording() for each in made]


@pytest.mark.parametrize("flags", [0, 1])
def test_a_parent_decides(flags: int) -> None:
    """Below a parent its flag counts, whatever the ratio."""
    asked = Asked()
    parent = SpanContext(5, 6, is_remote=True, trace_flags=TraceFlags(flags))
    context = context_of([(b"traceparent", PARENT[:-1] + str(flags).encode())])
    span = own(0.0).begin(context, span_of(context), asked, "a")
    assert span.is_recording() == bool(flags)
    assert asked.times == flags
    assert parent.is_valid


@pytest.mark.parametrize(
    ("sampler", "follows"),
    [(ParentBased(ALWAYS_ON), True), (ALWAYS_ON, False), (ALWAYS_OFF, False)],
)
def test_a_foreign_sampler_is_asked_unless_it_follows_parents(sampler: Any, follows: bool) -> None:  # noqa: FBT001
    """A sampler that may take what its parent did not is always asked."""
    provider = TracerProvider(sampler=sampler, shutdown_on_exit=False)
    spans = Spans(provider, "1")
    assert spans.follows_parents is follows
    asked = Asked()
    context = context_of([(b"traceparent", PARENT[:-1] + b"0")])
    spans.begin(context, span_of(context), asked, "a")
    assert asked.times == (0 if follows else 1)


def test_planned_ids_are_used_once() -> None:
    """A span has the ids that were planned for it, the next one has others."""
    spans = own(1.0)
    description = Description("a", SpanKind.INTERNAL, {})
    first = spans.planned(Context(), description, Ids(7, 8)).get_span_context()
    second = spans.begin(Context(), INVALID_SPAN_CONTEXT, lambda _: description, "a")
    assert (first.trace_id, first.span_id) == (7, 8)
    assert second.get_span_context().span_id != 8


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"00-0-0-01",
        b"ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        b"00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        b"00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        PARENT + b"-more",
        PARENT.upper(),
    ],
)
def test_what_is_no_parent_is_none(header: bytes) -> None:
    """A header that W3C does not allow names no span."""
    assert span_context(header) is None


def test_headers_of_a_later_version_are_read() -> None:
    """What follows the flags of a later version is left out."""
    found = span_context(b"cc" + PARENT[2:] + b"-more", "a=1,b=2")
    assert found is not None
    assert found.trace_state.to_header() == "a=1,b=2"


@pytest.mark.parametrize(
    ("listed", "usual"),
    [("", True), ("tracecontext, baggage", True), ("tracecontext", False), ("b3", False)],
)
def test_other_propagators_are_left_to_opentelemetry(listed: str, usual: bool) -> None:  # noqa: FBT001
    """Only W3C's two together are read here."""
    assert is_usual(listed) is usual


async def test_a_turn_has_the_same_ids_in_every_process() -> None:
    """A turn that is gone through again, elsewhere, is the same span; the next one is another."""
    told = WorkflowTurn("w1", "checkout", "e1", Trace(PARENT.decode()), 3, 2)
    found = []

    async def go(_: WorkflowTurn) -> Turn:
        found.append(trace.get_current_span().get_span_context())
        return Turn()

    for number in (3, 3, 6):
        turns = WorkflowSpans(own(1.0), SpanErrors(Redaction())).turn(go)
        again = WorkflowTurn("w1", "checkout", "e1", told.trace, number, 2)
        await turns(again)
    first, second, third = found
    assert first == second
    assert f"{first.trace_id:032x}".encode() in PARENT
    assert third.span_id != first.span_id


async def test_a_workflow_that_no_trace_led_to_is_one_trace() -> None:
    """Its first turn is the root, its later turns and activities are below that."""
    found = []

    async def go(_: WorkflowTurn) -> Turn:
        found.append(trace.get_current_span())
        return Turn()

    for number in (0, 3):
        await WorkflowSpans(own(1.0), SpanErrors(Redaction())).turn(go)(
            WorkflowTurn("w1", "checkout", "e1", None, number, 2)
        )
    root, later = (each.get_span_context() for each in found)
    assert root.trace_id == later.trace_id
    parent: Any = found[1]
    assert parent.parent.span_id == root.span_id
    assert parent.parent.trace_flags & 1


def test_derived_ids_are_valid_and_differ() -> None:
    """The same names give the same ids, others others."""
    assert derived("a", "b") == derived("a", "b")
    assert derived("a", "b") != derived("ab", "")
    assert derived("a").trace > 0
    assert turn(WorkflowTurn("w1", "checkout")).name == "workflow checkout"


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ([], "LeanSpan"),
        ([(b"traceparent", PARENT)], "NoneType"),
        ([(b"traceparent", PARENT[:-1] + b"0")], "_PassedOn"),
        ([(b"traceparent", PARENT[:-1] + b"2")], "_PassedOn"),
        ([(b"traceparent", b"00-" + 32 * b"0" + b"-" + 16 * b"0" + b"-00")], "LeanSpan"),
        ([(b"traceparent", b"01" + PARENT[2:-1] + b"0-more")], "NoneType"),
        ([(b"baggage", b"a=b")], "NoneType"),
    ],
)
def test_unsampled_deliveries_are_told_by_their_headers(
    headers: list[tuple[bytes, bytes]], found: str
) -> None:
    """What the flags do not say for sure is left to the sampler."""
    delivery = Delivery("topic", "pubsub/orders", b'{"traceparent": ""}', headers)
    span = lean(0.0, is_event=True)(delivery)
    assert type(span).__name__ == found
    if isinstance(span, LeanSpan):
        context = span.get_span_context()
        assert context.is_valid
        assert not context.trace_flags & 1
        assert span.get_span_context() is context
        assert not span.is_recording()


def test_an_envelope_that_names_a_parent_is_looked_at() -> None:
    """A root is not drawn for an event whose publisher had a span; others are kept by the ratio."""
    event = Delivery("topic", "pubsub/orders", b'{"traceparent":"' + PARENT + b'"}')
    assert lean(0.0, is_event=True)(event) is None
    assert lean(None, is_event=True)(Delivery("topic", "pubsub/orders", b"{}")) is None
    assert lean(1.0, is_event=True)(Delivery("topic", "pubsub/orders", b"{}")) is KEPT


def test_a_kept_root_is_one_that_the_sampler_takes() -> None:
    """However small the ratio, a root that was drawn is recorded."""
    description = Description("a", SpanKind.CONSUMER, {})
    assert all(own(0.001).root(Context(), description).is_recording() for _ in range(100))


def test_the_ids_of_a_span_that_is_not_sampled_are_those_of_its_context() -> None:
    """In hex, whoever asks first; of a parent that is passed on, the parent's."""
    span = LeanSpan()
    context = span.get_span_context()
    assert context.is_valid
    assert span.ids() == (f"{context.trace_id:032x}", f"{context.span_id:016x}")
    parent = PARENT[:-2] + b"00"
    passed = lean(0.0, is_event=True)(
        Delivery("topic", "pubsub/orders", b"{}", [(b"traceparent", parent)])
    )
    assert isinstance(passed, LeanSpan)
    assert passed.ids() == tuple(parent.decode().split("-")[1:3])
    assert span_of(Context({HELD: span})) is context


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (b'{"traceparent":"00-4bf9"}', True),
        (b'{"traceparent" : "00-4bf9","data":{"traceparent":""}}', True),
        (b'{"data":{"traceparent":"00-4bf9"},"traceparent":""}', True),
        (b'{"traceparent":""}', False),
        (b'{"traceparent":null,"data":"\\"traceparent\\":"}', False),
        (b"{}", False),
    ],
)
def test_an_envelope_may_name_a_parent_anywhere(body: bytes, named: bool) -> None:  # noqa: FBT001 - a case
    """Whoever wrote it, and whatever its data holds."""
    assert names_a_parent(body) is named
