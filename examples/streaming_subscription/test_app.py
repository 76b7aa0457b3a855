import asyncio

from daprflow import Status, Topic
from daprflow.testing import TestSidecar
from examples.streaming_subscription.app import Order, app, orders, paid

dead = Topic("pubsub", "orders-dead", Order)


async def test_orders_are_paid() -> None:
    """A worker takes each order; the sidecar is told that it is done."""
    async with TestSidecar(app) as dapr:
        assert await dapr.publish(orders, Order("o1", 5)) is Status.SUCCESS
        assert await dapr.publish(orders, Order("o2", 7)) is Status.SUCCESS
        assert dapr.published(paid) == ["o1", "o2"]


async def test_a_wrong_order_is_kept_aside() -> None:
    """What a worker drops goes to the dead letter topic."""
    async with TestSidecar(app) as dapr:
        assert await dapr.publish(orders, Order("bad", -1)) is Status.DROP
        assert dapr.published(dead) == [Order("bad", -1)]
        assert dapr.published(paid) == []


async def test_orders_are_taken_side_by_side() -> None:
    """More orders than workers are all paid, each once."""
    async with TestSidecar(app) as dapr:
        sent = [Order(f"o{number}", number) for number in range(20)]
        await asyncio.gather(*(dapr.publish(orders, order) for order in sent))
        assert sorted(dapr.published(paid)) == sorted(order.id for order in sent)
