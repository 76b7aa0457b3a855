from daprflow.testing import TestSidecar
from examples.wrap.app import Order, orders, service


async def test_the_wrapped_service_takes_events() -> None:
    """The handlers of a wrapping service are tested as any others."""
    async with TestSidecar(service) as dapr:
        await dapr.publish(orders, Order("7", 5))
