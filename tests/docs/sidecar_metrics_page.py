"""Writes the page about the sidecar's metrics: ``python -m tests.docs.sidecar_metrics_page``."""

from collections.abc import Sequence
from pathlib import Path

from daprflow.sidecar.telemetry import known_metrics
from daprflow.sidecar.telemetry.metrics import Known, Shape

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "sidecar-metrics.md"
HEAD = """# Metrics of the embedded sidecar

Made from the code by `python -m tests.docs.sidecar_metrics_page`. Names, labels and buckets are
those of a real runtime, so that its dashboards work; [where they are
served](../how-to/sidecar-telemetry.md#metrics) and which rules a Configuration may have is said
there. What an app counts itself: [metrics of an app](metrics.md).

Every metric has the label `app_id`, those marked with * have `namespace`, too. Latencies are in
milliseconds, sizes in bytes, both as histograms.
"""
KINDS = {
    Shape.COUNT: "counter",
    Shape.LAST: "gauge",
    Shape.LATENCY: "histogram",
    Shape.SIZE: "histogram",
}


def known() -> Sequence[Known]:
    """Every metric that the module of metrics declares, by name."""
    found: dict[str, Known] = {}
    for value in vars(known_metrics).values():
        for each in value if isinstance(value, tuple) else (value,):
            if isinstance(each, Known):
                found[each.name] = each
    return [found[name] for name in sorted(found)]


def page() -> str:
    """The text of the page."""
    rows = [_row(each) for each in known()]
    return "\n".join(
        [HEAD, "| metric | kind | labels | what it says |\n|---|---|---|---|", *rows, ""]
    )


def _row(metric: Known) -> str:
    labels = ", ".join(f"`{each}`" for each in metric.labels) or "-"
    name = f"`dapr_{metric.name}`" + ("*" if metric.namespaced else "")
    return f"| {name} | {KINDS[metric.shape]} | {labels} | {metric.text} |"


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
