"""The page of the sidecar's metrics has every one that it serves."""

import ast

from tests.docs.sidecar_metrics_page import PAGE, known, page


def test_the_page_is_made_from_the_code() -> None:
    """``python -m tests.docs.sidecar_metrics_page`` writes it."""
    assert PAGE.read_text(encoding="utf-8") == page()


def test_every_metric_of_the_sidecar_is_declared_in_one_module() -> None:
    """Nothing else in the sidecar makes a metric that the page could miss."""
    sidecar = PAGE.parents[2] / "daprflow" / "sidecar"
    makers = {
        path.name
        for path in sidecar.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "Known"
    }
    assert makers == {"known_metrics.py"}
    assert len(known()) > 50
