"""The service beside a sidecar in this process: nothing is mocked, nothing waits."""

from daprflow import Status
from daprflow.templates.service.app import Order, orders, total
from daprflow.testing import TestSidecar


async def test_orders_are_added_up(dapr: TestSidecar) -> None:
    """Every order of a customer is part of their total."""
    assert await dapr.publish(orders, Order("1", "ann", 5)) is Status.SUCCESS
    assert await dapr.publish(orders, Order("2", "ann", 2)) is Status.SUCCESS
    assert await dapr.invoke(total, "ann") == 7
    assert await dapr.invoke(total, "bob") == 0


async def test_a_negative_order_is_dropped(dapr: TestSidecar) -> None:
    """It changes nothing, and is kept among the dead letters."""
    assert await dapr.publish(orders, Order("3", "ann", -1)) is Status.DROP
    assert await dapr.invoke(total, "ann") == 0
