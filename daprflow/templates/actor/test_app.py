"""The actors beside a sidecar in this process, whose clock moves when a test says so."""

from datetime import timedelta

from daprflow.templates.actor.app import Cart, count
from daprflow.testing import TestSidecar


async def test_each_customer_has_a_cart(dapr: TestSidecar) -> None:
    """What is put into one is in that one only."""
    assert await dapr.actor(Cart, "ann").add("apple") == 1
    assert await dapr.actor(Cart, "ann").add("pear") == 2
    assert await dapr.invoke(count, "ann") == 2
    assert await dapr.invoke(count, "bob") == 0


async def test_a_forgotten_cart_empties_itself(dapr: TestSidecar) -> None:
    """An hour after the last thing was put in, nothing is left."""
    await dapr.actor(Cart, "ann").add("apple")
    await dapr.advance(timedelta(hours=2))
    assert await dapr.invoke(count, "ann") == 0
