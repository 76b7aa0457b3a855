from collections.abc import Mapping
from typing import Any

import pytest

from daprflow import DaprFlow
from daprflow.testing import TestSidecar

from .app import app
from .contracts import Goods, declarations, duty
from .customs import clear


@pytest.fixture
def dapr_app() -> DaprFlow:
    return app


@pytest.fixture
def dapr_options() -> Mapping[str, Any]:
    return {"spans": True}


async def free(goods: Goods) -> int:
    return 0


async def test_a_declaration_is_one_trace(dapr: TestSidecar) -> None:
    """Whatever it sets off belongs to one tree."""
    dapr.fake(duty, free)
    await dapr.publish(declarations, Goods("p1", "books", 100))
    assert await dapr.workflow(clear, "p1").result() == "cleared"
    tree = dapr.spans.tree()
    print(tree)
    assert "activity assess" in tree
