"""The Configuration of metrics is what a sidecar reads."""

from pathlib import Path

from daprflow.sidecar.configuration_document import load_configuration

HERE = Path(__file__).parent


def test_the_metrics_are_read() -> None:
    """Buckets, error codes, the paths that count, and a rule for a label."""
    found = load_configuration([HERE / "metrics.yaml"], {}).metrics
    assert found.latency_buckets == (1, 5, 20, 100, 500)
    assert found.record_error_codes
    assert (found.increased_cardinality, found.path_matching) == (False, ("/orders/{id}",))
    (rule,) = found.rules
    assert [each.patterns for each in rule.labels] == [(("/carts/{id}", "/carts/.+"),)]
