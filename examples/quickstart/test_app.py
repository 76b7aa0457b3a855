from datetime import timedelta

from daprflow import Status
from daprflow.testing import TestSidecar
from examples.quickstart.app import Order, app, orders, total


async def test_orders_are_added_up() -> None:
    """Every order that arrives is part of the total."""
    async with TestSidecar(app) as dapr:
        assert await dapr.publish(orders, Order("7", 5)) is Status.SUCCESS
        assert await dapr.publish(orders, Order("8", 2)) is Status.SUCCESS
        assert await dapr.invoke(total) == 7


async def test_an_order_is_placed_every_three_seconds() -> None:
    """The clock of a test moves when the test says so."""
    async with TestSidecar(app) as dapr:
        await dapr.advance(timedelta(seconds=10))
        assert len(dapr.published(orders)) == 3
