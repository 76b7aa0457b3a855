"""A Grafana dashboard and a reference page, made of the list of metrics.

``python -m daprflow.observability.dashboard`` prints the dashboard, for Grafana's import, and with
``--page`` the tables of the page.
"""

import sys
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, Final

import msgspec

from daprflow.observability.metric_list import METRICS, Metric, MetricKind

SCHEMA: Final = 39
WIDTH, PANEL, HEIGHT = 24, 8, 8
_SOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
_SHARES: Final = (0.5, 0.95, 0.99)
_SELECTED: Final = 'job=~"$job"'


def dashboard() -> dict[str, Any]:
    """Return the dashboard: a row for each part, a panel for each metric."""
    panels: list[dict[str, Any]] = []
    top = 0
    for title, metrics in groupby(sorted(METRICS, key=_row_order), key=lambda each: each.row):
        panels.append(_row(title, top, len(panels) + 1))
        top += 1
        shown = list(metrics)
        for at, metric in enumerate(shown):
            place = (at % (WIDTH // PANEL) * PANEL, top + at // (WIDTH // PANEL) * HEIGHT)
            panels.append(_panel(metric, place, len(panels) + 1))
        top += -(-len(shown) // (WIDTH // PANEL)) * HEIGHT
    return {
        "title": "daprflow apps",
        "uid": "daprflow-apps",
        "tags": ["dapr", "daprflow"],
        "schemaVersion": SCHEMA,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": [_data_source(), _job()]},
        "panels": panels,
    }


def dashboard_text() -> str:
    """Return the dashboard as a file."""
    return msgspec.json.format(msgspec.json.encode(dashboard())).decode() + "\n"


def page() -> str:
    """Return the reference page's tables, a heading for each part."""
    return "\n".join(_page_lines())


def _page_lines() -> Iterator[str]:
    for title, metrics in groupby(sorted(METRICS, key=_row_order), key=lambda each: each.row):
        yield from (
            f"## {title}",
            "",
            "| metric | kind | labels | what it says |",
            "|---|---|---|---|",
        )
        for metric in metrics:
            labels = ", ".join(f"`{each}`" for each in metric.labels) or "-"
            yield f"| `{metric.name}` | {metric.kind} | {labels} | {metric.help} |"
        yield ""


def _row_order(metric: Metric) -> int:
    rows = list(dict.fromkeys(each.row for each in METRICS))
    return rows.index(metric.row)


def _row(title: str, top: int, number: int) -> dict[str, Any]:
    place = {"h": 1, "w": WIDTH, "x": 0, "y": top}
    return {"id": number, "type": "row", "title": title, "collapsed": False, "gridPos": place}


def _panel(metric: Metric, place: tuple[int, int], number: int) -> dict[str, Any]:
    unit = "s" if metric.in_seconds else "ops" if metric.kind is MetricKind.COUNTER else "short"
    targets = [
        {"datasource": _SOURCE, "refId": chr(ord("A") + at), "expr": query, "legendFormat": legend}
        for at, (query, legend) in enumerate(queries(metric))
    ]
    return {
        "id": number,
        "type": "timeseries",
        "title": metric.name,
        "description": metric.help,
        "datasource": _SOURCE,
        "gridPos": {"h": HEIGHT, "w": PANEL, "x": place[0], "y": place[1]},
        "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
        "targets": targets,
    }


def queries(metric: Metric) -> Sequence[tuple[str, str]]:
    """Return what a panel asks Prometheus, with the legend of each."""
    by = ", ".join(metric.labels)
    legend = " ".join(f"{{{{{each}}}}}" for each in metric.labels) or metric.name
    name = metric.name
    if metric.kind is MetricKind.COUNTER:
        rate = f"rate({name}{{{_SELECTED}}}[$__rate_interval])"
        return [(f"sum by ({by}) ({rate})" if by else f"sum({rate})", legend)]
    if metric.kind is MetricKind.GAUGE:
        together = {"livemax": "max", "livemin": "min"}.get(metric.several, "sum")
        series = f"{name}{{{_SELECTED}}}"
        return [(f"{together} by ({by}) ({series})" if by else f"{together}({series})", legend)]
    inner = f"rate({name}_bucket{{{_SELECTED}}}[$__rate_interval])"
    within = ", ".join((*metric.labels, "le"))
    return [
        (f"histogram_quantile({share}, sum by ({within}) ({inner}))", f"{legend} p{share * 100:g}")
        for share in _SHARES
    ]


def _data_source() -> dict[str, Any]:
    return {
        "name": "datasource",
        "label": "Data source",
        "type": "datasource",
        "query": "prometheus",
    }


def _job() -> dict[str, Any]:
    return {
        "name": "job",
        "label": "Job",
        "type": "query",
        "datasource": _SOURCE,
        "query": "label_values(daprflow_app_info, job)",
        "refresh": 2,
        "includeAll": True,
        "multi": True,
        "current": {"text": "All", "value": "$__all"},
        "allValue": ".+",
    }


def main() -> None:
    """Print the dashboard, or the page."""
    sys.stdout.write(page() if "--page" in sys.argv[1:] else dashboard_text())


if __name__ == "__main__":
    main()
