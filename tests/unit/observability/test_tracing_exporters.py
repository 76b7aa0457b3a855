"""Where spans go: OTLP, Zipkin and the terminal, by the variables of OpenTelemetry alone."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from tests.helpers.collector import Collector

ROOT = Path(__file__).parents[3]
PROGRAM = ROOT / "tests" / "helpers" / "traced_program.py"


def run(runs: int = 1, **env: str) -> subprocess.CompletedProcess[str]:
    """Run the program with these variables beside none of OpenTelemetry's."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    return subprocess.run(
        [sys.executable, str(PROGRAM), str(runs)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=ROOT,
        env={**clean, **env},
    )


def test_otlp_by_an_endpoint_alone() -> None:
    """An endpoint is enough: spans come as protobuf, the service is named after the app."""
    with Collector() as collector:
        done = run(OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, OTEL_EXPORTER_OTLP_HEADERS="key=v1")
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr
    spans = {each.name: each for each in collector.otlp}
    assert set(spans) == {"process orders", "state/save statestore"}
    assert spans["state/save statestore"].parent_span_id == spans["process orders"].span_id
    assert collector.resource["service.name"] == "shop"
    assert {each.path for each in collector.posted} == {"/v1/traces"}
    assert collector.posted[0].headers["key"] == "v1"


def test_the_service_is_named_by_the_environment_first() -> None:
    """OTEL_SERVICE_NAME and the resource's attributes come before the app's id."""
    with Collector() as collector:
        done = run(
            2,
            OTEL_TRACES_EXPORTER="otlp",
            OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=f"{collector.url}/own/path",
            OTEL_SERVICE_NAME="front",
            OTEL_RESOURCE_ATTRIBUTES="deployment.environment=test",
        )
    assert done.returncode == 0, done.stderr
    assert collector.resource["service.name"] == "front"
    assert collector.resource["deployment.environment"] == "test"
    assert {each.path for each in collector.posted} == {"/own/path"}
    assert len(collector.otlp) == 4  # two runs of one app, by the same provider


def test_zipkin() -> None:
    """Zipkin is given its JSON."""
    with Collector() as collector:
        done = run(
            OTEL_TRACES_EXPORTER="zipkin",
            OTEL_EXPORTER_ZIPKIN_ENDPOINT=f"{collector.url}/api/v2/spans",
        )
    assert done.returncode == 0, done.stderr
    spans = {each["name"]: each for each in collector.zipkin}
    assert spans["process orders"]["kind"] == "CONSUMER"
    assert spans["state/save statestore"]["parentId"] == spans["process orders"]["id"]
    assert spans["process orders"]["localEndpoint"]["serviceName"] == "shop"


def test_the_terminal() -> None:
    """The console exporter writes one line of JSON for each span."""
    done = run(OTEL_TRACES_EXPORTER="console")
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines() if line != "done"]
    assert {each["name"] for each in lines} == {"process orders", "state/save statestore"}


def test_a_collector_that_is_away_is_told_once_and_not_waited_for() -> None:
    """Nothing listens: one warning, no error of the exporter's own, and a timely end."""
    with Collector() as collector:
        away = collector.url
    began = time.monotonic()
    done = run(2, OTEL_EXPORTER_OTLP_ENDPOINT=away)
    seconds = time.monotonic() - began
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr
    said = [line for line in done.stderr.splitlines() if "dead letter" not in line]
    assert len(said) <= 1, said
    assert all("traces cannot be sent to the OTLP collector" in line for line in said)
    assert seconds < 30


def test_a_mistake_ends_the_start() -> None:
    """A variable that cannot be used ends the start; the last line names it."""
    done = run(OTEL_TRACES_EXPORTER="console", OTEL_PROPAGATORS="smoke")
    assert done.returncode != 0
    assert "'OTEL_PROPAGATORS' is 'smoke'" in done.stderr.splitlines()[-1]
