from daprflow import Status
from daprflow.testing import TestSidecar
from examples.migration.dapr_fastapi.after import Cart, Order, dead, orders, service, total


async def test_orders_are_added_up() -> None:
    """What was added up before the move counts on."""
    async with TestSidecar(service) as dapr:
        await dapr.state("statestore").set("total", 100)
        assert await dapr.publish(orders, Order(id="7", total=5)) is Status.SUCCESS
        assert await dapr.invoke(total) == 105


async def test_a_negative_order_is_given_up() -> None:
    """It goes to the dead letter topic."""
    async with TestSidecar(service) as dapr:
        assert await dapr.publish(orders, Order(id="7", total=-5)) is Status.DROP
        assert [bytes(each) for each in dapr.published(dead)] == [b'{"id":"7","total":-5}']


async def test_a_cart_goes_on_with_what_is_stored() -> None:
    """Items lie under the key that the official SDK's actor wrote, in the same form."""
    async with TestSidecar(service) as dapr:
        assert await dapr.actor(Cart, "ann").add("tea") == 1
        assert await dapr.actor(Cart, "ann").add("milk") == 2
