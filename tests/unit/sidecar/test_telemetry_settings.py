"""What Configuration files say of traces, metrics and the log of API calls."""

from pathlib import Path

import pytest

from daprflow.protocol.configuration_file import (
    ApiLogging,
    ConfigurationResource,
    MetricsLabel,
    MetricsRule,
    MetricsSpec,
    OtelSpec,
    TracingSpec,
)
from daprflow.sidecar.configuration_document import load_configuration
from daprflow.sidecar.resource_fields import DocumentError

HEAD = "apiVersion: dapr.io/v1alpha1\nkind: Configuration\nmetadata: {name: c}\nspec:\n"


def load(folder: Path, spec: str) -> ConfigurationResource:
    """Read a file with that spec."""
    file = folder / "c.yaml"
    file.write_text(HEAD + spec, encoding="utf-8")
    return load_configuration([file], {})


def test_where_spans_go(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Names of headers are in small letters, a timeout is a duration; every field is used."""
    spec = """
  tracing:
    samplingRate: "0.5"
    stdout: true
    zipkin: {endpointAddress: "http://z"}
    otel:
      endpointAddress: c:4317
      protocol: grpc
      isSecure: false
      timeout: 3s
      headers: [{name: X-Key, value: v}]
"""
    headers = (("x-key", "v"),)
    otel = OtelSpec("c:4317", "grpc", is_secure=False, headers=headers, timeout=3.0)
    found = load(tmp_path, spec).tracing
    assert found == TracingSpec("0.5", stdout=True, zipkin="http://z", otel=otel)
    assert caplog.records == []


def test_what_is_measured(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Both names of the section are read; references to groups are those of Go."""
    spec = """
  metric:
    enabled: false
  metrics:
    recordErrorCodes: true
    latencyDistributionBuckets: [1, 5]
    http: {increasedCardinality: false, pathMatching: [/a], excludeVerbs: true}
    rules: [{name: n, labels: [{name: path, regex: {"/x/$1": "/y/(.+)"}}]}]
"""
    label = MetricsLabel("path", ((r"/x/\g<1>", "/y/(.+)"),))
    assert load(tmp_path, spec).metrics == MetricsSpec(
        enabled=False,
        latency_buckets=(1.0, 5.0),
        increased_cardinality=False,
        path_matching=("/a",),
        exclude_verbs=True,
        rules=(MetricsRule("n", (label,)),),
        record_error_codes=True,
    )
    assert caplog.records == []


def test_which_calls_are_logged(tmp_path: Path) -> None:
    """All three settings are read."""
    spec = "  logging: {apiLogging: {enabled: true, obfuscateURLs: true, omitHealthChecks: true}}\n"
    expected = ApiLogging(enabled=True, obfuscate_urls=True, omit_health_checks=True)
    assert load(tmp_path, spec).api_logging == expected


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("  tracing: {otel: {protocol: tcp}}\n", "must be grpc or http, not 'tcp'"),
        ("  metrics: {latencyDistributionBuckets: [5, 1]}\n", "must grow"),
        ("  metrics: {latencyDistributionBuckets: [a]}\n", "must be a list of numbers"),
        ("  metrics: {rules: [{name: n, labels: [{name: l, regex: {a: (}}]}]}\n", "c.yaml"),
        ('  metrics: {rules: [{name: n, labels: [{name: l, regex: {a: "("}}]}]}\n', "regular"),
    ],
)
def test_what_makes_no_sense(tmp_path: Path, spec: str, words: str) -> None:
    """It is named with its place."""
    with pytest.raises(DocumentError, match=words):
        load(tmp_path, spec)
