"""Whether an app is traced, and how: what its author and the environment say."""

import subprocess
import sys
from collections.abc import Mapping

import pytest
from opentelemetry.sdk.trace import TracerProvider

from daprflow.errors import MissingExtra
from daprflow.observability import Observability
from daprflow.observability.tracing import TracingWatcher
from daprflow.observability.tracing_options import Sampling, TracingSettings
from daprflow.observability.tracing_setup import provider_by
from daprflow.settings import SettingsError

RATIO = {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio"}


def settings(env: Mapping[str, str], *, asked: bool = False) -> TracingSettings | None:
    """Read an environment for an app."""
    return TracingSettings.from_env(env, "shop", asked=asked)


@pytest.mark.parametrize(
    ("env", "exporters"),
    [
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, ("otlp",)),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "https://c/v1/traces"}, ("otlp",)),
        ({"OTEL_EXPORTER_ZIPKIN_ENDPOINT": "http://z:9411/api/v2/spans"}, ("zipkin",)),
        ({"OTEL_TRACES_EXPORTER": "console, otlp,console"}, ("console", "otlp")),
        (
            {"OTEL_TRACES_EXPORTER": "zipkin", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c"},
            ("zipkin",),
        ),
    ],
)
def test_exporters_are_named_or_have_an_endpoint(
    env: dict[str, str], exporters: tuple[str, ...]
) -> None:
    """What is named counts; where nothing is, an endpoint names its exporter."""
    found = settings(env)
    assert found is not None
    assert found.exporters == exporters


@pytest.mark.parametrize(
    "env",
    [
        {},
        {"OTEL_TRACES_EXPORTER": "", "OTEL_EXPORTER_OTLP_ENDPOINT": ""},
        {"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"},
        {"OTEL_TRACES_EXPORTER": "console", "OTEL_SDK_DISABLED": "True"},
        {"OTEL_SERVICE_NAME": "shop", "OTEL_PROPAGATORS": "b3"},
    ],
)
def test_nothing_asks_for_traces(env: dict[str, str]) -> None:
    """Without an exporter, or with a disabled SDK, nothing is put around anything."""
    assert settings(env) is None
    assert Observability().resolved("shop", env) == ()


def test_who_asks_in_code_gets_otlp() -> None:
    """``tracing=True`` sends to the usual collector unless the environment says otherwise."""
    asked = settings({}, asked=True)
    assert asked is not None
    assert asked.exporters == ("otlp",)
    silent = settings({"OTEL_TRACES_EXPORTER": "none"}, asked=True)
    assert silent is not None
    assert silent.exporters == ()
    assert Observability(tracing=False).resolved("shop", {"OTEL_TRACES_EXPORTER": "console"}) == ()


def test_a_given_provider_is_used() -> None:
    """A provider in code is enough, whatever the environment says."""
    given = Observability(tracer_provider=TracerProvider(shutdown_on_exit=False))
    (watcher,) = given.resolved("shop", {"OTEL_TRACES_EXPORTER": "nonsense"})
    assert isinstance(watcher, TracingWatcher)
    assert given.resolved("shop", {"OTEL_SDK_DISABLED": "true"}) == ()


@pytest.mark.parametrize(
    ("env", "sampling"),
    [
        ({}, Sampling("parentbased_always_on", 1.0)),
        ({"OTEL_TRACES_SAMPLER": "always_off"}, Sampling("always_off", 0.0)),
        (
            {**RATIO, "OTEL_TRACES_SAMPLER_ARG": "0.01"},
            Sampling(RATIO["OTEL_TRACES_SAMPLER"], 0.01),
        ),
        (RATIO, Sampling(RATIO["OTEL_TRACES_SAMPLER"], 1.0)),
    ],
)
def test_samplers(env: dict[str, str], sampling: Sampling) -> None:
    """The samplers are those of OpenTelemetry, under its names."""
    found = settings({"OTEL_TRACES_EXPORTER": "none", **env}, asked=True)
    assert found is not None
    assert found.sampling == sampling
    said = provider_by(found).sampler.get_description()
    assert said.startswith("ParentBased{") == sampling.follows_parents


@pytest.mark.parametrize(
    ("env", "service"),
    [
        ({}, "shop"),
        ({"OTEL_SERVICE_NAME": "front"}, ""),
        ({"OTEL_RESOURCE_ATTRIBUTES": "a=b, service.name=front"}, ""),
    ],
)
def test_the_service_is_the_app_unless_it_has_a_name(env: dict[str, str], service: str) -> None:
    """The environment's name comes first."""
    found = settings(env, asked=True)
    assert found is not None
    assert found.service == service


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({"OTEL_TRACES_EXPORTER": "jaeger"}, "names the exporter 'jaeger'; there is 'otlp'"),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4318"},
            "'OTEL_EXPORTER_OTLP_ENDPOINT' holds no URL that spans can be sent to",
        ),
        (
            {"OTEL_EXPORTER_ZIPKIN_ENDPOINT": "http://z:port/"},
            "'OTEL_EXPORTER_ZIPKIN_ENDPOINT' holds no URL",
        ),
        ({"OTEL_TRACES_SAMPLER": "some"}, "'OTEL_TRACES_SAMPLER' is 'some'"),
        ({**RATIO, "OTEL_TRACES_SAMPLER_ARG": "1%"}, "'OTEL_TRACES_SAMPLER_ARG' is '1%'"),
        ({**RATIO, "OTEL_TRACES_SAMPLER_ARG": "7"}, "takes a number from 0 to 1"),
        (
            {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"},
            "'OTEL_EXPORTER_OTLP_PROTOCOL' is 'http/json'; spans are sent by 'http/protobuf'",
        ),
    ],
)
def test_mistakes_name_their_variable(env: dict[str, str], said: str) -> None:
    """What cannot be used is refused in one line that names the variable."""
    with pytest.raises(SettingsError, match=said) as refused:
        Observability(tracing=True).resolved("shop", env)
    assert "\n" not in str(refused.value)


def test_a_url_with_a_password_is_not_shown() -> None:
    """The value of an endpoint may hold a secret, so the line does not."""
    with pytest.raises(SettingsError) as refused:
        settings({"OTEL_EXPORTER_OTLP_ENDPOINT": "ftp://me:canary@collector"})
    assert "canary" not in str(refused.value)


WITHOUT = """
import logging, sys
logging.basicConfig(format="%(message)s")
sys.modules["opentelemetry.sdk"] = None
from daprflow.observability import Observability
print(Observability().resolved("shop", {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}))
Observability().resolved("shop", {"OTEL_TRACES_EXPORTER": "otlp"})
"""


def test_the_extra_is_named_where_it_is_missing() -> None:
    """An endpoint of the platform's is a warning, an exporter that is named is an error."""
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout == "()\n"
    lines = done.stderr.splitlines()
    pip = str(MissingExtra("tracing", "otel"))
    assert lines[0] == f"an OpenTelemetry endpoint is set, and no traces are sent: {pip}"
    assert lines[-1].endswith(pip)
