"""`TestSidecar` from its start to its end."""

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request

from daprflow.addresses import Endpoint, Topic
from daprflow.app import DaprFlow
from daprflow.client import Client
from daprflow.errors import (
    AppDefinitionError,
    InvocationError,
)
from daprflow.handlers.envelopes import Batch
from daprflow.protocol.deliveries import Status
from daprflow.settings import Settings
from daprflow.testing import TestSidecar


class Order(msgspec.Struct):
    """A payload."""

    id: str
    total: int = 1


orders = Topic("pubsub", "orders", Order)
receipts = Topic("pubsub", "receipts", str)
SECOND = timedelta(seconds=1)


async def test_a_wrong_definition_surfaces_as_itself(app: DaprFlow) -> None:
    """The error is the one that `check` prints, and nothing stays behind."""

    class Db:
        """What nobody provides."""

    @app.topic(orders)
    async def on_order(order: Order, *, db: Db) -> None: ...

    with pytest.raises(AppDefinitionError, match="on_order"):
        await TestSidecar(app).__aenter__()


async def test_a_failing_provider_surfaces_as_itself(app: DaprFlow) -> None:
    """What a provider raises at start is what the test sees."""

    class Db:
        """What a provider makes."""

    @app.provide
    async def db() -> Db:
        raise ConnectionRefusedError("no database")

    before = app.client
    with pytest.raises(ConnectionRefusedError, match="no database"):
        await TestSidecar(app).__aenter__()
    assert app.client is before


async def test_an_app_can_be_tested_again_and_again(app: DaprFlow) -> None:
    """Each sidecar starts empty, and the app has its own client back after."""

    @app.topic(orders)
    async def on_order(order: Order, *, client: Client) -> None:
        await client.state("statestore").set("last", order.id)

    before = app.client
    for number in ("1", "2"):
        async with TestSidecar(app) as dapr:
            assert await dapr.state("statestore").get("last", str) is None
            await dapr.publish(orders, Order(number))
            assert len(dapr.published(orders)) == 1
    assert app.client is before


async def test_an_installed_app_is_tested_in_its_host(app: DaprFlow) -> None:
    """The host's lifespan, its state and ours are all there."""
    host = FastAPI(lifespan=lambda _: lifespan())
    seen: list[Any] = []

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[dict[str, str]]:
        seen.append("up")
        yield {"name": "host"}
        seen.append("down")

    @host.post("/own")
    async def own(request: Request) -> str:
        return str(request.state.name)

    @app.topic(orders)
    async def on_order(order: Order, *, request: Request) -> None:
        seen.append(request.state.name)

    app.install(host)
    async with TestSidecar(app, host=host) as dapr:
        assert await dapr.publish(orders, Order("1")) is Status.SUCCESS
        own_endpoint: Endpoint[None, str] = Endpoint("shop", "own", type(None), str)
        assert await dapr.client.invoke(own_endpoint) == "host"

    assert seen == ["up", "host", "down"]


async def test_a_wrapped_app_is_tested_in_its_host(app: DaprFlow) -> None:
    """Events reach our handlers, everything else the app inside."""
    site = FastAPI()

    @site.post("/own")
    async def own() -> str:
        return "site"

    @app.topic(orders)
    async def on_order(order: Order) -> None: ...

    async with TestSidecar(app, host=app.wrap(site)) as dapr:
        assert await dapr.publish(orders, Order("1")) is Status.SUCCESS
        own_endpoint: Endpoint[None, str] = Endpoint("shop", "own", type(None), str)
        assert await dapr.invoke(own_endpoint) == "site"


async def test_a_failed_call_is_waited_for_too(app: DaprFlow) -> None:
    """What a method did before it failed is done."""
    seen = []

    @app.invoke
    async def quote(order: Order, *, client: Client) -> int:
        await client.publish(receipts, order.id)
        raise HTTPException(409)

    @app.topic(receipts)
    async def on_receipt(receipt: str) -> None:
        await asyncio.sleep(0.005)
        seen.append(receipt)

    async with TestSidecar(app) as dapr:
        with pytest.raises(InvocationError):
            await dapr.invoke(quote, Order("1"))
        assert seen == ["1"]


async def test_crons_do_not_fire_while_a_batch_is_awaited(app: DaprFlow) -> None:
    """Publish lets no more time pass than the batch needs."""
    ticks = []

    @app.cron("tick", "@every 2s")
    async def tick() -> None:
        ticks.append(1)

    @app.topic(orders, max_messages=10)
    async def on_orders(batch: Batch[Order]) -> None: ...

    async with TestSidecar(app) as dapr:
        before = dapr.now
        assert await dapr.publish(orders, Order("1")) is Status.SUCCESS
        assert dapr.now - before <= timedelta(seconds=1.001)

    assert ticks == []


async def test_the_apps_token_is_known(app: DaprFlow) -> None:
    """An app that asks for a token gets it from its test sidecar."""
    guarded = DaprFlow("guarded", settings=Settings(app_api_token="secret"))

    @guarded.topic(orders)
    async def on_order(order: Order) -> None: ...

    async with TestSidecar(guarded) as dapr:
        assert await dapr.publish(orders, Order("1")) is Status.SUCCESS


async def test_outside_of_its_block_it_says_so(app: DaprFlow) -> None:
    """Before and after, there is nothing to talk to."""
    sidecar = TestSidecar(app)

    with pytest.raises(RuntimeError, match="use it inside 'async with'"):
        await sidecar.advance(SECOND)
    async with sidecar:
        with pytest.raises(RuntimeError, match="runs already"):
            await sidecar.__aenter__()
    with pytest.raises(RuntimeError, match="use it inside 'async with'"):
        _ = sidecar.client


@pytest.mark.row("FS-36")
async def test_nothing_is_left_behind(app: DaprFlow) -> None:
    """No task and no open client outlives the block, even when the test in it fails."""

    @app.topic(orders)
    async def on_order(order: Order) -> Status:
        return Status.RETRY

    @app.cron("sweep", "@every 1s")
    async def sweep() -> None: ...

    async def fail() -> None:
        async with TestSidecar(app) as dapr:
            await dapr.publish(orders, Order("1"))
            await dapr.client.publish(orders, Order("2"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    gc.collect()

    assert asyncio.all_tasks() == {asyncio.current_task()}
