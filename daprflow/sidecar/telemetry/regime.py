"""What becomes of traces, by configuration file and environment: three different things."""

from collections.abc import Mapping
from enum import Enum

import msgspec

from daprflow.protocol.configuration_file import OtelSpec, TracingSpec
from daprflow.sidecar.components.base import ComponentError
from daprflow.sidecar.telemetry.tracer import rate_of


class Regime(Enum):
    """What a sidecar does about traces."""

    PASSED_ON = "a caller's context goes on unchanged, and all zeros where there is none"
    OFF = "no context is added anywhere"
    SPANS = "every call is a span"


def regime_of(spec: TracingSpec) -> Regime:
    """Return what a configuration asks for."""
    if rate_of(spec.sampling_rate) == 0:
        return Regime.OFF
    exported = spec.stdout or spec.zipkin or (spec.otel.endpoint and spec.otel.protocol)
    return Regime.SPANS if exported or spec.sampling_rate else Regime.PASSED_ON


def with_environment(spec: TracingSpec, env: Mapping[str, str]) -> TracingSpec:
    """Return a configuration with what the variables of OpenTelemetry say.

    A file that names an endpoint wins over all of them. An endpoint turns tracing on, with the
    rate 1 where the file has none.

    Args:
        spec: of the configuration file.
        env: `OTEL_EXPORTER_OTLP_…`, those with ``TRACES`` first.

    Raises:
        ComponentError: a variable makes no sense.
    """
    if spec.otel.endpoint:
        return spec
    otel, rate = spec.otel, spec.sampling_rate
    endpoint = _value(env, "ENDPOINT")
    if endpoint:
        secure = otel.is_secure and env.get("OTEL_EXPORTER_OTLP_INSECURE") != "true"
        otel = OtelSpec(
            endpoint.removeprefix("http://").removeprefix("https://"),
            "http" if _value(env, "PROTOCOL").startswith("http") else "grpc",
            secure,
            otel.headers,
            otel.timeout,
        )
        rate = rate or "1"
    headers = (*otel.headers, *_headers(_value(env, "HEADERS")))
    timeout = _timeout(_value(env, "TIMEOUT")) or otel.timeout
    otel = msgspec.structs.replace(otel, headers=headers, timeout=timeout)
    return msgspec.structs.replace(spec, otel=otel, sampling_rate=rate)


def _value(env: Mapping[str, str], name: str) -> str:
    own, common = f"OTEL_EXPORTER_OTLP_TRACES_{name}", f"OTEL_EXPORTER_OTLP_{name}"
    return env.get(own) or env.get(common) or ""


def _headers(text: str) -> tuple[tuple[str, str], ...]:
    pairs = (pair.partition("=") for pair in text.split(",") if pair.strip())
    return tuple((name.strip().lower(), value.strip()) for name, _, value in pairs)


def _timeout(text: str) -> float | None:
    """Return seconds; the variable has milliseconds."""
    if not text:
        return None
    if not text.isdecimal():
        raise ComponentError(
            f"OTEL_EXPORTER_OTLP_TIMEOUT is '{text}'; write whole milliseconds, as 10000"
        )
    return int(text) / 1000 or None
