from datetime import timedelta
from pathlib import Path

from daprflow.testing import TestSidecar
from examples.outbox.app import Order, OrderPlaced, app, place, placed

RESOURCES = Path(__file__).parent / "resources"


async def test_what_is_stored_is_announced() -> None:
    """The order is stored whole and announced without its card, a second later."""
    async with TestSidecar(app, resources_path=RESOURCES) as dapr:
        order = Order("o1", 250, "4111")
        await dapr.invoke(place, order)
        assert dapr.published(placed) == []

        await dapr.advance(timedelta(seconds=2))

        assert dapr.published(placed) == [OrderPlaced("o1", 250)]
        item = await dapr.state("orders").get("o1", Order)
        assert item is not None
        assert item.value == order
        announced = await dapr.state("orders").get("announced:o1", int)
        assert announced is not None
