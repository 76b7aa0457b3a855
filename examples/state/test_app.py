from asyncio import gather

from daprflow.testing import TestSidecar
from examples.state.app import Cart, Line, Move, add, app, keep_photo, show, show_all, sign_in


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


async def test_a_cart_moves_whole() -> None:
    """After the transaction the cart is the customer's, and the guest has none."""
    async with TestSidecar(app) as dapr:
        await dapr.invoke(add, Line("guest-1", "tea"))
        await dapr.invoke(sign_in, Move("guest-1", "ann"))
        assert await dapr.invoke(show_all, ["guest-1", "ann"]) == {"ann": Cart(["tea"])}


async def test_bytes_are_kept() -> None:
    """Bytes come back byte for byte."""
    async with TestSidecar(app) as dapr:
        await dapr.invoke(keep_photo, b"\x89PNG\x00\xff")
        item = await dapr.state("statestore").get("photo", bytes)
        assert item is not None
        assert item.value == b"\x89PNG\x00\xff"
