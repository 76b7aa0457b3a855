"""The shop without a shell: what the pokes do, a test does by the test kit."""

from daprflow import Endpoint
from daprflow.testing import TestSidecar
from examples.pokes.app import Cart, Order, app, orders

price = Endpoint("shop", "price", Order, int)


async def test_shop() -> None:
    """An order is kept and priced, and a cart counts."""
    async with TestSidecar(app) as dapr:
        await dapr.publish(orders, Order("7", 100))
        assert await dapr.saved("statestore", Order) == {"order:7": Order("7", 100)}
        assert await dapr.invoke(price, Order("7", 100)) == 119
        assert await dapr.actor(Cart, "ann").add("sku-1") == 1
