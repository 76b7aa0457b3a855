"""Several apps in one engine, on one clock."""

import pytest

from daprflow.app import DaprFlow
from daprflow.client import Client
from daprflow.errors import Drop
from daprflow.protocol.deliveries import Status
from daprflow.settings import Settings
from daprflow.testing import TestSidecar
from tests.helpers.small_shop import Counter, Order, orders, price


def pricing_app() -> DaprFlow:
    """Another team's app."""
    pricing = DaprFlow("pricing", settings=Settings())
    pricing.actor(Counter)

    @pricing.invoke(name="price")
    async def of(order: Order, *, client: Client) -> int:
        return await client.actor(Counter, order.id).add(7)

    @pricing.topic(orders)
    async def on_order(order: Order) -> None:
        if order.id == "bad":
            raise Drop("not ours")

    @pricing.binding("mails")
    async def on_mail(mail: str) -> None: ...

    return pricing


async def test_an_app_invokes_its_peer(app: DaprFlow) -> None:
    """The other app's own code answers, with its own client and its own actors."""

    @app.invoke
    async def quote(order: Order, *, client: Client) -> int:
        return await client.invoke(price, order)

    async with TestSidecar(app, peers=[pricing_app()]) as dapr:
        assert await dapr.invoke(quote, Order("a")) == 7
        assert await dapr.invoke(quote, Order("a")) == 14
        assert await dapr.actor(Counter, "a").add(1) == 15


async def test_an_event_goes_to_every_app(app: DaprFlow) -> None:
    """The verdict is the worst of the first attempts of all who subscribe."""
    taken = []

    @app.topic(orders)
    async def on_order(order: Order) -> None:
        taken.append(order.id)

    async with TestSidecar(app, peers=[pricing_app()]) as dapr:
        assert await dapr.publish(orders, Order("a")) is Status.SUCCESS
        assert await dapr.publish(orders, Order("bad")) is Status.DROP
        assert taken == ["a", "bad"]


async def test_a_peer_alone_may_handle_it(app: DaprFlow) -> None:
    """Events and bindings that only the other app has a handler for can be tested, too."""
    async with TestSidecar(app, peers=[pricing_app()]) as dapr:
        assert await dapr.publish(orders, Order("a")) is Status.SUCCESS
        assert await dapr.trigger("mails", "hello") is Status.SUCCESS
        with pytest.raises(LookupError, match="app 'pricing' or 'shop' has no handler"):
            await dapr.trigger("faxes")


async def test_apps_with_one_id_are_refused(app: DaprFlow) -> None:
    """Two apps of a test need two app ids."""
    with pytest.raises(ValueError, match="same app id"):
        await TestSidecar(app, peers=[DaprFlow("shop", settings=Settings())]).__aenter__()


async def test_a_peer_is_as_before_afterwards(app: DaprFlow) -> None:
    """A peer gets its own client back, and can be run again."""
    pricing = pricing_app()
    for _ in range(2):
        async with TestSidecar(app, peers=[pricing]) as dapr:
            assert await dapr.client.invoke(price, Order("a")) == 7
    assert pricing._client is None
