from daprflow import Status
from daprflow.testing import TestSidecar
from examples.interceptors.app import Order, app, orders, seen, terms


async def test_an_interceptor_sees_and_decides() -> None:
    """The outer one sees the verdict that the inner one gave instead of the handler."""
    seen.clear()
    async with TestSidecar(app) as dapr:
        assert await dapr.publish(orders, Order("1", "open")) is Status.SUCCESS
        assert await dapr.publish(orders, Order("2", "closed")) is Status.DROP
    assert seen == {"topic pubsub/orders: SUCCESS": 1, "topic pubsub/orders: DROP": 1}


async def test_middleware_is_around_a_method() -> None:
    """What a method answers passes through the middleware."""
    async with TestSidecar(app) as dapr:
        assert (await dapr.invoke(terms)).startswith("no refunds")
