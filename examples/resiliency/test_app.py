from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from daprflow import InvocationError
from daprflow.testing import TestSidecar
from examples.resiliency import pricing
from examples.resiliency.app import Order, Quote, app, orders, quote, totals

RESOURCES = Path(__file__).parent / "resources"


@asynccontextmanager
async def running() -> AsyncIterator[TestSidecar]:
    """Run the shop and the service that it depends on, with the policy file."""
    async with TestSidecar(app, peers=[pricing.app], resources_path=RESOURCES) as dapr:
        yield dapr


async def refused(dapr: TestSidecar, sku: str) -> int:
    """Return the status that a buyer gets who asks for a price."""
    with pytest.raises(InvocationError) as failed:
        await dapr.invoke(quote, sku)
    return failed.value.status


async def test_the_breaker_opens_and_closes() -> None:
    """After three failures nobody asks for five seconds; then one call does, and all is well."""
    async with running() as dapr:
        await dapr.client.invoke(pricing.fall_ill)
        assert [await refused(dapr, "tea") for _ in range(5)] == [503] * 5
        assert await dapr.client.invoke(pricing.asked) == 3

        await dapr.client.invoke(pricing.get_well)
        assert await refused(dapr, "tea") == 503  # it is open still
        assert await dapr.client.invoke(pricing.asked) == 0

        await dapr.advance(timedelta(seconds=5))
        assert await dapr.invoke(quote, "tea") == Quote(300, fresh=True)
        assert await dapr.invoke(quote, "cake") == Quote(400, fresh=True)
        assert await dapr.client.invoke(pricing.asked) == 2


async def test_the_breaker_opens_again_at_the_first_failure() -> None:
    """The one call that is let through after five seconds decides."""
    async with running() as dapr:
        await dapr.client.invoke(pricing.fall_ill)
        for _ in range(3):
            await refused(dapr, "tea")
        await dapr.advance(timedelta(seconds=5))
        for _ in range(3):
            await refused(dapr, "tea")
        assert await dapr.client.invoke(pricing.asked) == 4


async def test_a_known_price_is_better_than_none() -> None:
    """While pricing is ill buyers get the last price, and are told that it is not fresh."""
    async with running() as dapr:
        assert await dapr.invoke(quote, "tea") == Quote(300, fresh=True)
        await dapr.client.invoke(pricing.fall_ill)
        assert await dapr.invoke(quote, "tea") == Quote(300, fresh=False)


async def test_an_order_waits_for_the_price() -> None:
    """A failed order is handled again every two seconds, until there is a price."""
    async with running() as dapr:
        await dapr.client.invoke(pricing.fall_ill)
        await dapr.publish(orders, Order("tea", 3))
        await dapr.advance(timedelta(seconds=4))
        assert await dapr.client.invoke(pricing.asked) == 3
        await dapr.client.invoke(pricing.get_well)
        await dapr.advance(timedelta(seconds=8))
        assert await dapr.invoke(totals) == {"tea": 900}
