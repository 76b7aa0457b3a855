"""The same kit over connections: an app and its sidecar that listen on ports."""

from datetime import timedelta

import msgspec
import pytest

from daprflow.addresses import Endpoint, Topic
from daprflow.app import DaprFlow
from daprflow.client import Client
from daprflow.errors import Drop, SidecarError, SidecarUnavailable
from daprflow.protocol.deliveries import Status
from daprflow.settings import Settings
from daprflow.testing import StateStore, TestSidecar


class Order(msgspec.Struct):
    id: str


orders = Topic("pubsub", "orders", Order)
price = Endpoint("pricing", "price", Order, int)


@pytest.fixture
def shop(app: DaprFlow) -> DaprFlow:
    """An app that stores orders and asks for prices."""

    @app.topic(orders)
    async def on_order(order: Order, *, client: Client) -> None:
        if order.id == "bad":
            raise Drop("bad")
        await client.state("statestore").set(order.id, await client.invoke(price, order))

    return app


async def cheap(order: Order) -> int:
    """Answer for the other app."""
    return 3


async def test_events_go_over_connections(shop: DaprFlow) -> None:
    """Publishing, handlers, fakes and what was saved are as in process."""
    async with TestSidecar(shop, sockets=True) as dapr:
        dapr.fake(price, cheap)
        assert await dapr.publish(orders, Order("a")) is Status.SUCCESS
        assert await dapr.publish(orders, Order("bad")) is Status.DROP
        assert await dapr.saved("statestore") == {"a": 3}
        assert dapr.published(orders) == [Order("a"), Order("bad")]
        assert len({*dapr.ports, 0}) == 3


async def test_the_clock_is_the_tests(shop: DaprFlow) -> None:
    """Redeliveries come with advance, over connections, too."""
    async with TestSidecar(shop, sockets=True) as dapr:
        dapr.fake(price, cheap)
        dapr.fail(StateStore("statestore", on="write"), times=2)
        assert await dapr.publish(orders, Order("a")) is Status.RETRY
        await dapr.advance(timedelta(minutes=1))
        assert await dapr.saved("statestore") == {"a": 3}


async def test_faults_are_answered_over_connections(shop: DaprFlow) -> None:
    """A client sees the same errors as in process."""
    async with TestSidecar(shop, sockets=True) as dapr:
        dapr.fail(orders, times=1)
        with pytest.raises(SidecarError) as refused:
            await dapr.client.publish(orders, Order("a"))
        assert refused.value.code == "ERR_PUBSUB_PUBLISH_MESSAGE"
        async with dapr.disconnected():
            with pytest.raises(SidecarUnavailable):
                await shop.client.publish(orders, Order("a"))


async def test_two_apps_listen_side_by_side(shop: DaprFlow) -> None:
    """A peer has ports of its own and is called over a connection."""
    pricing = DaprFlow("pricing", settings=Settings())

    @pricing.invoke(name="price")
    async def of(order: Order) -> int:
        return 9

    async with TestSidecar(shop, peers=[pricing], sockets=True) as dapr:
        assert await dapr.publish(orders, Order("a")) is Status.SUCCESS
        assert await dapr.saved("statestore") == {"a": 9}


async def test_in_process_there_are_no_ports(shop: DaprFlow) -> None:
    """Asking for ports that are not there says how to have some."""
    async with TestSidecar(shop) as dapr:
        with pytest.raises(RuntimeError, match="sockets=True"):
            _ = dapr.ports
