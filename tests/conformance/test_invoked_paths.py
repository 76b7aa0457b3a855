"""Invocations with verbs and paths, from a client through a sidecar to the app."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import msgspec
import pytest

from daprflow import Client, DaprFlow, Endpoint, Header, InvocationError, Query
from daprflow.settings import Settings
from tests.helpers.http_client import RawClient
from tests.helpers.recording import serve
from tests.helpers.sidecar import running_sidecar

FIND = "/v1.0/invoke/shop/method/orders"


class Order(msgspec.Struct):
    number: str
    page: int = 1
    tags: list[str] = []
    tenant: str = ""


def shop() -> DaprFlow:
    """An app with several verbs on a path."""
    app = DaprFlow("shop")

    @app.invoke("GET", "/orders/{number}")
    async def get(
        *,
        number: str,
        page: Annotated[int, Query()] = 1,
        tag: Annotated[list[str] | None, Query()] = None,
        tenant: Annotated[str, Header("x-tenant")] = "",
    ) -> Order:
        return Order(number, page, tag or [], tenant)

    @app.invoke("PATCH", "/orders/{number}", status=202)
    async def change(order: Order, *, number: str) -> Order:
        return Order(number, order.page)

    @app.invoke("DELETE", "/orders/{number}")
    async def delete(*, number: str) -> None: ...

    return app


@asynccontextmanager
async def through_a_sidecar(root: Path) -> AsyncIterator[int]:
    """The app behind a sidecar, both on real sockets; gives the sidecar's port."""
    app = shop()
    async with (
        app.lifespan(),
        serve(app) as port,
        running_sidecar(root, {}, app_id="shop", app_port=port) as sidecar,
    ):
        yield sidecar.port


async def test_a_get_with_a_query_reaches_its_handler(tmp_path: Path) -> None:
    """Verb, path, query and headers arrive, and status and headers come back."""
    async with through_a_sidecar(tmp_path) as port:
        raw = RawClient(port)
        got = await raw.call("GET", f"{FIND}/7?page=2&tag=a&tag=b%26c", b"", ("x-tenant", "ann"))
        head = await raw.call("HEAD", f"{FIND}/7")
        deleted = await raw.call("DELETE", f"{FIND}/7")
        changed = await raw.call("PATCH", f"{FIND}/7", b'{"number":"x","page":3}')
        refused = await raw.call("PUT", f"{FIND}/7", b"{}")
        bad = await raw.call("GET", f"{FIND}/7?page=secret")
    assert msgspec.json.decode(got.body, type=Order) == Order("7", 2, ["a", "b&c"], "ann")
    assert (head.status, head.body) == (200, b"")
    assert (deleted.status, deleted.body) == (204, b"")
    assert (changed.status, msgspec.json.decode(changed.body, type=Order).page) == (202, 3)
    assert (refused.status, refused.header("allow")) == (405, "DELETE, GET, HEAD, PATCH")
    assert (bad.status, b"secret" in bad.body) == (400, False)


@pytest.mark.parametrize(
    "number", ["7", "a b", "ü", "a+b", "a;b&c=d", "a:b@c", "~!*'()", "{x}", "\\"]
)
async def test_a_value_of_the_path_arrives_as_it_is(tmp_path: Path, number: str) -> None:
    """What the client lets into a path survives the sidecar's decoding and cleaning."""
    get = Endpoint("shop", "GET /orders/{number}", None, Order)
    async with through_a_sidecar(tmp_path) as port:
        settings = Settings.from_env({"DAPR_HTTP_PORT": str(port)})
        async with Client(settings) as client:
            assert await client.invoke(get, number=number, page=3) == Order(number, 3)


async def test_a_refusal_reaches_the_caller(tmp_path: Path) -> None:
    """A verb that nobody has is an InvocationError with the app's status and words."""
    put = Endpoint("shop", "PUT /orders/{number}", Order, Order)
    async with through_a_sidecar(tmp_path) as port:
        settings = Settings.from_env({"DAPR_HTTP_PORT": str(port)})
        async with Client(settings) as client:
            with pytest.raises(InvocationError) as refused:
                await client.invoke(put, Order("7"), number="7")
    assert refused.value.status == 405
    assert b"this path takes" in refused.value.body
