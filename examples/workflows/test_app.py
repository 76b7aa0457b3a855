"""The example does what its page says."""

from datetime import timedelta

import pytest

from daprflow import Status, WorkflowFailed
from daprflow.testing import TestSidecar
from examples.workflows.app import (
    Order,
    Receipt,
    app,
    approve,
    approved,
    buy,
    careful,
    checkout,
    delivery,
    invoice,
    orders,
    score,
    stuck,
    wholesale,
)


async def risky(order: Order) -> int:
    """A risk that is as high as the order is."""
    return order.total


# --8<-- [start:test]
async def test_a_risky_order_needs_approval() -> None:
    """Without an approval within a day, an order is rejected."""
    async with TestSidecar(app) as dapr:
        dapr.fake(score, risky)
        run = await dapr.start(checkout, Order("o1", 250))
        await dapr.advance(timedelta(days=2))
        assert await run.result() == "rejected"


# --8<-- [end:test]


async def test_an_approved_order_is_shipped() -> None:
    """An order that is approved in time is shipped; its status tells where it stands."""
    async with TestSidecar(app) as dapr:
        dapr.fake(score, risky)
        run = await dapr.start(checkout, Order("o2", 250))
        assert (await run.status()).custom_status == "paid 250, risk 250"
        await run.send(approved, data=True)
        assert await run.result() == "parcel-o2"


async def test_handlers_start_and_approve() -> None:
    """Any handler starts a workflow, and waits for its result."""
    async with TestSidecar(app) as dapr:
        dapr.fake(score, risky)
        assert await dapr.invoke(buy, Order("o3", 99)) == "o3"
        assert await dapr.invoke(approve, Order("o3", 99)) == "parcel-o3"


async def test_orders_of_a_topic_are_checked_out_once() -> None:
    """An order that is delivered twice starts one workflow, which is listed while it runs."""
    async with TestSidecar(app) as dapr:
        dapr.fake(score, risky)
        assert await dapr.publish(orders, Order("o5", 250)) is Status.SUCCESS
        assert await dapr.publish(orders, Order("o5", 250)) is Status.SUCCESS
        assert await dapr.invoke(stuck) == ["o5: paid 250, risk 250"]


async def bill(receipt: Receipt) -> str:
    """Another app's workflow."""
    return f"bill of {receipt.paid}"


async def test_wholesale_is_reminded_of(capsys: pytest.CaptureFixture[str]) -> None:
    """A large batch waits for its approval, which is asked for again every day."""
    batch = [Order("o6", 900), Order("o7", 200)]
    async with TestSidecar(app) as dapr:
        dapr.fake(invoice, bill)
        run = await dapr.start(wholesale, batch)
        await dapr.advance(timedelta(days=2.5))
        await run.send(approved, data=True)
        assert await run.result() == ["bill of 900", "bill of 200"]
        late = await dapr.start(wholesale, batch)
        await dapr.advance(timedelta(days=4))
        assert await late.result() == []
    assert capsys.readouterr().out.count("please approve o6") == 2 + 3


async def test_what_is_not_shipped_is_collected() -> None:
    """An error that no retry helps against is caught."""
    async with TestSidecar(app) as dapr:
        run = await dapr.start(careful, Order("o8", 9999))
        assert await run.result() == "collect it at the shop"


async def test_a_failed_delivery_is_paid_back(capsys: pytest.CaptureFixture[str]) -> None:
    """What cannot be shipped is paid back, and the workflow fails with the reason."""
    async with TestSidecar(app) as dapr:
        run = await dapr.start(delivery, Order("o4", 9999))
        with pytest.raises(WorkflowFailed, match="too heavy"):
            await run.result()
    assert "9999 given back for o4" in capsys.readouterr().out
