from datetime import timedelta
from pathlib import Path

import pytest
from starlette.exceptions import HTTPException

from daprflow import InvocationError
from daprflow.testing import TestSidecar
from examples.resiliency.app import Order, app, known_prices, orders, price, quote, totals

RESOURCES = Path(__file__).parent / "resources"


class Pricing:
    """The other app: answers while it is well."""

    def __init__(self) -> None:
        self.well = False
        self.calls = 0

    async def price(self, sku: str) -> int:
        """Return the price of a piece."""
        self.calls += 1
        if not self.well:
            raise HTTPException(503, f"no price of '{sku}' now")
        return 7


async def test_the_breaker_opens_and_closes() -> None:
    """After three failures nobody asks for half a minute; then one call does, and all is well."""
    known_prices.clear()
    pricing = Pricing()
    async with TestSidecar(app, resources_path=RESOURCES) as dapr:
        dapr.fake(price, pricing.price)
        for _ in range(5):
            with pytest.raises(InvocationError):
                await dapr.invoke(quote, "tea")
        assert pricing.calls == 3
        pricing.well = True
        with pytest.raises(InvocationError):
            await dapr.invoke(quote, "tea")
        await dapr.advance(timedelta(seconds=30))
        assert await dapr.invoke(quote, "tea") == 7
        pricing.well = False
        assert await dapr.invoke(quote, "tea") == 7


async def test_an_order_waits_for_the_price() -> None:
    """A failed order is handled again every five seconds, until the breaker lets it through."""
    totals.clear()
    pricing = Pricing()
    async with TestSidecar(app, resources_path=RESOURCES) as dapr:
        dapr.fake(price, pricing.price)
        await dapr.publish(orders, Order("tea", 3))
        await dapr.advance(timedelta(seconds=20))
        assert pricing.calls == 3
        pricing.well = True
        await dapr.advance(timedelta(seconds=25))
        assert totals == {"tea": 21}
