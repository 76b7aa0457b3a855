from daprflow.testing import TestSidecar
from examples.install.app import Order, app, orders, service


async def test_events_reach_the_installed_handlers() -> None:
    """The host application runs too, with the handlers in it."""
    async with TestSidecar(service, host=app) as dapr:
        await dapr.publish(orders, Order("7", 5))
        latest = await dapr.state("statestore").get("latest", str)
        assert latest is not None
        assert latest.value == "7"
