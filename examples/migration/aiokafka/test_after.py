from daprflow import Status, Topic
from daprflow.testing import TestSidecar
from examples.migration.aiokafka.after import Order, app, orders, place

DEAD = Topic("pubsub", "orders-dead", dict[str, object])


async def test_an_order_is_handled() -> None:
    """A record of plain JSON arrives as an order."""
    async with TestSidecar(app) as dapr:
        assert await dapr.publish(orders, Order("o1", "ann", 5), raw=True) is Status.SUCCESS


async def test_placing_an_order_publishes_it() -> None:
    """The producer is a call of the client, and the key belongs to the topic."""
    async with TestSidecar(app) as dapr:
        await dapr.invoke(place, Order("o1", "ann", 5))
        assert dapr.published(orders) == [Order("o1", "ann", 5)]


async def test_what_cannot_be_handled_is_buried() -> None:
    """A negative total, and what is no order at all, go to the dead letter topic."""
    async with TestSidecar(app) as dapr:
        assert await dapr.publish(orders, Order("o1", "ann", -5), raw=True) is Status.DROP
        assert len(dapr.published(DEAD)) == 1
