from daprflow import Status
from daprflow.testing import TestSidecar
from examples.providers.app import Order, app, orders, total


async def test_a_failed_call_leaves_nothing_behind() -> None:
    """The call's transaction is rolled back when its handler raises, and committed otherwise."""
    async with TestSidecar(app) as dapr:
        assert await dapr.publish(orders, Order("1", 100)) is Status.SUCCESS
        assert await dapr.publish(orders, Order("2", -50)) is Status.RETRY
        assert await dapr.invoke(total) == 119
