"""Which spans are recorded, and what they are part of."""

import pytest

from daprflow.protocol.configuration_file import OtelSpec, TracingSpec
from daprflow.sidecar.clock import VirtualClock
from daprflow.sidecar.components.base import ComponentError
from daprflow.sidecar.telemetry.regime import Regime, regime_of, with_environment
from daprflow.sidecar.telemetry.trace_context import TraceContext
from daprflow.sidecar.telemetry.tracer import DEFAULT_RATE, Kind, Span, Tracer, rate_of

PARENT = TraceContext("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", 1, "a=b")


class Kept:
    """Keeps what ended."""

    def __init__(self) -> None:
        self.spans: list[Span] = []

    def take(self, span: Span, /) -> None:
        self.spans.append(span)

    def close(self) -> None:
        """Do nothing."""


def tracer(rate: float, kept: Kept | None = None) -> Tracer:
    """Return a tracer of that rate."""
    return Tracer(rate, kept or Kept(), VirtualClock(1000.0))


def test_a_caller_decides_for_all_that_follows() -> None:
    """A span is recorded if its caller's is, whatever the rate; the state goes along."""
    kept = Kept()
    tracer(0.0, kept).start("a", Kind.CLIENT, PARENT).finish()
    unsampled = TraceContext(PARENT.trace_id, PARENT.span_id)
    tracer(1.0, kept).start("b", Kind.CLIENT, unsampled).finish()
    (span,) = kept.spans
    assert (span.name, span.context.trace_id, span.context.state) == ("a", PARENT.trace_id, "a=b")
    assert span.context.span_id != PARENT.span_id
    assert span.parent == PARENT


def test_the_rate_decides_where_a_trace_begins() -> None:
    """Half of them are recorded at 0.5; those that are not have ids all the same."""
    kept = Kept()
    half = tracer(0.5, kept)
    spans = [half.start("a", Kind.SERVER, None) for _ in range(2000)]
    for span in spans:
        span.finish()
    assert 800 < len(kept.spans) < 1200
    assert len({span.context.trace_id for span in spans}) == 2000


@pytest.mark.parametrize(("text", "rate"), [("1", 1.0), ("0.25", 0.25), ("", DEFAULT_RATE)])
def test_rates_as_they_are_written(text: str, rate: float) -> None:
    """What is no number is one in ten thousand, as in the real runtime."""
    assert rate_of(text) == rate


@pytest.mark.parametrize(
    ("spec", "regime"),
    [
        (TracingSpec(), Regime.PASSED_ON),
        (TracingSpec("0"), Regime.OFF),
        (TracingSpec("0", zipkin="http://z"), Regime.OFF),
        (TracingSpec("1"), Regime.SPANS),
        (TracingSpec(stdout=True), Regime.SPANS),
        (TracingSpec(zipkin="http://z"), Regime.SPANS),
        (TracingSpec(otel=OtelSpec("c:4317", "grpc")), Regime.SPANS),
        (TracingSpec(otel=OtelSpec("c:4317")), Regime.PASSED_ON),
    ],
)
def test_the_three_regimes(spec: TracingSpec, regime: Regime) -> None:
    """No rate is not the rate zero; an exporter alone turns spans on."""
    assert regime_of(spec) is regime


def test_an_endpoint_of_the_environment_turns_tracing_on() -> None:
    """The scheme goes, the rate is 1, the protocol is gRPC unless HTTP is named."""
    env = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4317",
        "OTEL_EXPORTER_OTLP_INSECURE": "true",
        "OTEL_EXPORTER_OTLP_HEADERS": "A=1, b=2",
        "OTEL_EXPORTER_OTLP_TIMEOUT": "2500",
    }
    spec = with_environment(TracingSpec(), env)
    headers = (("a", "1"), ("b", "2"))
    otel = OtelSpec("collector:4317", "grpc", is_secure=False, headers=headers, timeout=2.5)
    assert spec == TracingSpec("1", otel=otel)
    traces = {**env, "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf"}
    assert with_environment(TracingSpec("0.5"), traces).otel.protocol == "http"
    assert with_environment(TracingSpec("0.5"), traces).sampling_rate == "0.5"


def test_a_file_that_names_an_endpoint_wins() -> None:
    """The variables of the environment are for sidecars whose file says nothing."""
    spec = TracingSpec("1", otel=OtelSpec("mine:4317", "grpc"))
    assert with_environment(spec, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://other:4317"}) == spec


def test_a_timeout_that_is_none() -> None:
    """It is refused with the words to write."""
    with pytest.raises(ComponentError, match="whole milliseconds"):
        with_environment(TracingSpec(), {"OTEL_EXPORTER_OTLP_TIMEOUT": "10s"})
