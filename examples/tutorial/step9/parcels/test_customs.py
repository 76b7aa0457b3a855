from datetime import timedelta

import pytest

from daprflow import DaprFlow
from daprflow.testing import TestSidecar

from .app import Parcel, app, track
from .contracts import Goods, declarations, duty
from .customs import clear, pay

TEA = Goods("p1", "tea", 100)


@pytest.fixture
def dapr_app() -> DaprFlow:
    return app


async def five(goods: Goods) -> int:
    return 5


async def test_a_parcel_that_is_paid_for(dapr: TestSidecar) -> None:
    """It leaves customs for the depot."""
    dapr.fake(duty, five)
    await dapr.publish(declarations, TEA)
    await dapr.invoke(pay, "p1")
    assert await dapr.workflow(clear, "p1").result() == "cleared"
    assert await dapr.invoke(track, parcel="p1") == Parcel(["customs", "depot"])


async def test_a_parcel_that_nobody_pays_for(dapr: TestSidecar) -> None:
    """It goes back to its sender after three days."""
    dapr.fake(duty, five)
    await dapr.publish(declarations, TEA)
    await dapr.advance(timedelta(days=3))
    assert await dapr.workflow(clear, "p1").result() == "sent back"
    assert await dapr.invoke(track, parcel="p1") == Parcel(["customs", "sender"])
