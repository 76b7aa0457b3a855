from datetime import timedelta

from daprflow import Status, Topic
from daprflow.testing import TestSidecar
from examples.migration.faststream.after import Order, Receipt, app, orders, receipts

DEAD = Topic("pubsub", "orders-dead", dict[str, object])
ANYTHING = Topic("pubsub", "orders", dict[str, object])


async def test_an_order_is_billed_and_a_receipt_published() -> None:
    """What the publisher decorator did is a call of the client."""
    async with TestSidecar(app) as dapr:
        assert await dapr.publish(orders, Order(id="o1", total=5)) is Status.SUCCESS
        assert dapr.published(receipts) == [Receipt(order="o1")]


async def test_an_unpriced_order_is_tried_again_and_then_given_up() -> None:
    """Retries and the dead letter topic are the sidecar's: no second subscriber is needed."""
    async with TestSidecar(app) as dapr:
        assert await dapr.publish(orders, Order(id="o2", total=0)) is Status.RETRY
        await dapr.advance(timedelta(minutes=10))
        assert len(dapr.published(DEAD)) == 1


async def test_what_is_no_order_does_not_come_back_for_ever() -> None:
    """It goes to the dead letter topic at once."""
    async with TestSidecar(app) as dapr:
        no_order: dict[str, object] = {"id": 1}
        assert await dapr.publish(ANYTHING, no_order) is Status.DROP
        assert dapr.published(DEAD) == [no_order]
