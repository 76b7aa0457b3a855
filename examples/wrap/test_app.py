from daprflow import Status
from daprflow.testing import TestSidecar
from examples.wrap.app import Order, app, orders, service


async def test_events_reach_the_handlers_around_the_site() -> None:
    """Dapr's paths are answered by the service, whatever it is wrapped around."""
    async with TestSidecar(service, host=app) as dapr:
        assert await dapr.publish(orders, Order("7", 5)) is Status.SUCCESS
