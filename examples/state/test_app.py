from asyncio import gather

from daprflow.testing import TestSidecar
from examples.state.app import Cart, Line, add, app, show


async def test_no_update_is_lost() -> None:
    """Two changes at once both end up in the cart: the later writer reads again."""
    async with TestSidecar(app) as dapr:
        await gather(
            dapr.invoke(add, Line("ann", "tea")),
            dapr.invoke(add, Line("ann", "cup")),
        )
        cart = await dapr.invoke(show, "ann")
        assert sorted(cart.items) == ["cup", "tea"]


async def test_an_unknown_cart_is_empty() -> None:
    """A key that was never written reads as nothing."""
    async with TestSidecar(app) as dapr:
        assert await dapr.invoke(show, "bob") == Cart()
