from daprflow.testing import TestSidecar
from examples.install.app import Order, app, orders, service


async def test_the_host_keeps_its_routes() -> None:
    """The same application takes events from the sidecar and requests from anyone."""
    async with TestSidecar(service, host=app) as dapr:
        await dapr.publish(orders, Order("7", 5))
