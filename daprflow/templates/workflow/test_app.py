"""The workflow beside a sidecar in this process, whose clock moves when a test says so."""

from datetime import timedelta

from daprflow.templates.workflow.app import Order, approved, buy, checkout
from daprflow.testing import TestSidecar


async def test_a_small_order_is_shipped(dapr: TestSidecar) -> None:
    """Nobody has to approve it."""
    run = await dapr.start(checkout, Order("1", 50))
    assert await run.result() == "parcel-1"


async def test_a_large_order_needs_approval(dapr: TestSidecar) -> None:
    """It waits for the event, over a restart of everything."""
    run = await dapr.start(checkout, Order("2", 500))
    await run.send(approved, data=True)
    assert await run.result() == "parcel-2"


async def test_without_approval_the_money_goes_back(dapr: TestSidecar) -> None:
    """A day later the order is rejected."""
    assert await dapr.invoke(buy, Order("3", 500)) == "3"
    await dapr.advance(timedelta(days=2))
    assert await dapr.workflow(checkout, "3").result() == "rejected"
