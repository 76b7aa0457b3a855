"""Methods in tests, and fakes of other teams' methods."""

from typing import Annotated

import msgspec
import pytest
from starlette.exceptions import HTTPException

from daprflow.addresses import Endpoint, Topic
from daprflow.app import DaprFlow
from daprflow.client import Client
from daprflow.errors import (
    InvocationError,
)
from daprflow.handlers.parameters import Path, Query
from daprflow.testing import TestSidecar


class Order(msgspec.Struct):
    """A payload."""

    id: str
    total: int = 1


class Search(msgspec.Struct):
    """A payload of which some fields stand beside the body."""

    number: Annotated[str, Path()]
    page: Annotated[int, Query()]
    text: str


orders = Topic("pubsub", "orders", Order)
receipts = Topic("pubsub", "receipts", str)
price = Endpoint("pricing", "price", Order, int)


async def test_a_method_is_invoked_through_the_sidecar(app: DaprFlow) -> None:
    """Payload and answer are typed, and what follows is done."""

    @app.invoke
    async def quote(order: Order, *, client: Client) -> int:
        await client.publish(receipts, order.id)
        return order.total * 2

    @app.invoke
    async def total() -> int:
        return 7

    async with TestSidecar(app) as dapr:
        assert await dapr.invoke(quote, Order("1", 5)) == 10
        assert await dapr.invoke(total) == 7
        assert await dapr.invoke(total, None) == 7
        assert dapr.published(receipts) == ["1"]


async def test_text_answers_round_trip(app: DaprFlow) -> None:
    """Text goes to a method and back unchanged, whatever it looks like."""

    @app.invoke
    async def echo(text: str) -> str:
        return text

    async with TestSidecar(app) as dapr:
        for text in ("hé", '"quoted"', "7", ""):
            assert await dapr.invoke(echo, text) == text


async def test_another_teams_endpoint_is_faked(app: DaprFlow) -> None:
    """The app calls a function of the test, through the sidecar."""
    asked = []

    @app.invoke
    async def quote(order: Order, *, client: Client) -> int:
        return await client.invoke(price, order)

    async def cheap(order: Order) -> int:
        asked.append(order)
        return 3

    sidecar = TestSidecar(app)
    sidecar.fake(price, cheap)
    async with sidecar as dapr:
        assert await dapr.invoke(quote, Order("1")) == 3

        async def dear(order: Order) -> int:
            return 300

        dapr.fake(price, dear)
        assert await dapr.invoke(quote, Order("2")) == 300

    assert asked == [Order("1")]


async def test_a_fake_may_take_nothing_and_give_anything(app: DaprFlow) -> None:
    """Endpoints without payload, text, bytes and nothing work as real ones."""
    ping: Endpoint[None, str] = Endpoint("other", "v1/ping", type(None), str)
    data: Endpoint[None, bytes] = Endpoint("other", "data", type(None), bytes)
    note: Endpoint[str, None] = Endpoint("other", "note", str, type(None))
    notes = []

    async def pong() -> str:
        return "pong"

    async def zero() -> bytes:
        return b"\x00"

    async def keep(text: str) -> None:
        notes.append(text)

    async with TestSidecar(app) as dapr:
        dapr.fake(ping, pong)
        dapr.fake(data, zero)
        dapr.fake(note, keep)

        assert await dapr.client.invoke(ping) == "pong"
        assert await dapr.client.invoke(data) == b"\x00"
        await dapr.client.invoke(note, "hé")

    assert notes == ["hé"]


async def test_a_fake_may_fail(app: DaprFlow) -> None:
    """An HTTPException is that status; another error is a 500; a wrong payload a 400."""

    async def refuse(order: Order) -> int:
        raise HTTPException(409, "taken")

    async def fail(order: Order) -> int:
        raise ValueError("private")

    statuses = []
    async with TestSidecar(app) as dapr:
        for function in (refuse, fail):
            dapr.fake(price, function)
            with pytest.raises(InvocationError) as caught:
                await dapr.client.invoke(price, Order("1"))
            statuses.append(caught.value.status)
            assert b"private" not in caught.value.body
        for other in (Endpoint("pricing", "price", str, int), Endpoint("pricing", "x", str, int)):
            with pytest.raises(InvocationError) as caught:
                await dapr.client.invoke(other, "x")
            statuses.append(caught.value.status)

    assert statuses == [409, 500, 400, 404]


async def test_an_app_nobody_fakes_is_unknown(app: DaprFlow) -> None:
    """The sidecar says so, at once."""
    async with TestSidecar(app) as dapr:
        with pytest.raises(InvocationError) as caught:
            await dapr.client.invoke(price, Order("1"))

    assert caught.value.code == "ERR_DIRECT_INVOKE"


async def test_an_own_endpoint_is_not_faked(app: DaprFlow) -> None:
    """Faking what is under test would test nothing."""

    @app.invoke
    async def quote(order: Order) -> int:
        return 1

    async def never(order: Order) -> int:
        return 2

    with pytest.raises(ValueError, match="belongs to the app under test"):
        TestSidecar(app).fake(quote, never)


async def test_a_fake_takes_parameters_as_a_handler_does(app: DaprFlow) -> None:
    """Verb and path choose the fake, a text before a parameter; 400 and 404 as from an app."""
    one = Endpoint("orders", "GET /orders/{number}", None, Order)
    latest = Endpoint("orders", "GET /orders/latest", None, Order)
    change = Endpoint("orders", "PUT /orders/{number}", Order, Order)
    search = Endpoint("orders", "POST /search/{number}", Search, str)
    delete = Endpoint("orders", "DELETE /orders/{number}", None, None)

    async def get(*, number: int, page: Annotated[int, Query()] = 1) -> Order:
        return Order(str(number), page)

    async def last() -> Order:
        return Order("latest")

    async def put(order: Order, *, number: str) -> Order:
        return Order(number, order.total)

    async def find(asked: Search) -> str:
        return f"{asked.number} {asked.page} {asked.text}"

    async with TestSidecar(app) as dapr:
        dapr.fake(latest, last)
        dapr.fake(one, get)
        dapr.fake(change, put)
        dapr.fake(search, find)
        client = dapr.client
        assert await client.invoke(one, number="7", page=2) == Order("7", 2)
        assert await client.invoke(latest) == Order("latest")
        assert await client.invoke(change, Order("", 5), number="a b") == Order("a b", 5)
        assert await client.invoke(search, Search("8", 3, "x")) == "8 3 x"
        with pytest.raises(InvocationError) as bad:
            await client.invoke(one, number="x")
        with pytest.raises(InvocationError) as missing:
            await client.invoke(delete, number="7")
    assert (bad.value.status, b"path parameter 'number'" in bad.value.body) == (400, True)
    assert (missing.value.status, b"no fake for DELETE" in missing.value.body) == (404, True)


async def test_a_fake_that_cannot_be_called_is_refused(app: DaprFlow) -> None:
    """A path parameter that the fake does not place after '*' is a mistake of the test."""
    one = Endpoint("orders", "GET /orders/{number}", None, Order)

    async def get(number: str) -> Order:
        return Order(number)

    with pytest.raises(TypeError, match="takes 'number', a parameter, before"):
        TestSidecar(app).fake(one, get)
