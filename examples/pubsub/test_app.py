from daprflow import Status
from daprflow.testing import TestSidecar
from examples.pubsub.app import Metric, Order, app, metrics, orders, unusable


async def test_a_negative_order_ends_in_the_dead_letter_topic() -> None:
    """A dropped event goes to the dead letter topic, where another handler takes it."""
    async with TestSidecar(app) as dapr:
        assert await dapr.publish(orders, Order("1", -5)) is Status.DROP
        assert dapr.published(unusable) == [Order("1", -5)]


async def test_an_unpriced_order_is_tried_again() -> None:
    """Retry asks for another delivery."""
    async with TestSidecar(app) as dapr:
        assert await dapr.publish(orders, Order("1", 0)) is Status.RETRY


async def test_metrics_arrive_in_batches() -> None:
    """A good entry of a batch is accepted."""
    async with TestSidecar(app) as dapr:
        assert await dapr.publish(metrics, Metric("load", 0.5)) is Status.SUCCESS
