import pytest

from daprflow import DaprFlow
from daprflow.testing import TestSidecar

from .contracts import Goods
from .tariff import app, duty


@pytest.fixture
def dapr_app() -> DaprFlow:
    return app


@pytest.mark.parametrize(("kind", "to_pay"), [("books", 0), ("tea", 5), ("hats", 20)])
async def test_what_is_to_be_paid(dapr: TestSidecar, kind: str, to_pay: int) -> None:
    """It depends on the kind of goods."""
    assert await dapr.invoke(duty, Goods("p1", kind, 100)) == to_pay
