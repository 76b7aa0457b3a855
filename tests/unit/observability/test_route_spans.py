"""Spans of the user's own routes: OpenTelemetry's instrumentation, around everything but Dapr's."""

from typing import Any

import msgspec
import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from starlette.testclient import TestClient
from starlette.types import ASGIApp

from daprflow import DaprFlow, Topic
from daprflow.middleware import ErrorHandling
from daprflow.observability import Observability
from daprflow.observability.logging_context import span_ids
from daprflow.testing import CollectedSpans, TestSidecar


class Order(msgspec.Struct):
    id: str


ORDERS = Topic("pubsub", "orders", Order)


async def item(_: Request) -> PlainTextResponse:
    """Answer a route."""
    return PlainTextResponse("item")


def caller(app: ASGIApp) -> AsyncClient:
    """Return a client of an app."""
    return AsyncClient(transport=ASGITransport(app), base_url="http://shop")


async def test_own_routes_have_spans_and_daprs_have_their_own() -> None:
    """A route's span has its template, not its path or query; Dapr's endpoints have one span."""
    app = DaprFlow(
        "shop", routes=[Route("/items/{id}", item), Mount("/v2", routes=[Route("/x/{y}", item)])]
    )

    @app.invoke
    async def quote(order: Order) -> int:
        return 1

    async with TestSidecar(app, spans=True) as dapr, caller(app) as client:
        for path in ("/items/7?token=canary", "/v2/x/1", "/nothing"):
            await client.get(path)
        await client.get("/healthz")
        await client.post("/quote", content=b'{"id": "1"}')
    assert dapr.spans.names == ["GET /items/{id}", "GET /v2/x/{y}", "GET", "shop/quote"]
    assert all("canary" not in each.to_json() for each in dapr.spans)


@pytest.mark.parametrize("wraps", [False, True], ids=["installed", "wrapped"])
async def test_several_apps_around_one_make_one_span_a_request(*, wraps: bool) -> None:
    """Whichever app answers makes the span, and another application's routes have one, too."""
    spans = CollectedSpans()
    seen = Observability(tracer_provider=spans.provider)
    first, second = DaprFlow("first", observability=seen), DaprFlow("second", observability=seen)

    @first.invoke
    async def price(order: Order) -> int:
        return 1

    @second.invoke
    async def quote(order: Order) -> int:
        return 2

    host = FastAPI(routes=[Route("/items/{id}", item)])
    served: ASGIApp = host
    if wraps:
        served = second.wrap(first.wrap(host))
    else:
        first.install(host)
        second.install(host)
    with TestClient(served) as client:
        for path in ("/price", "/quote"):
            client.post(path, content=b'{"id": "1"}')
        client.get("/items/7")
        client.get("/healthz")
    assert spans.names == ["first/price", "second/quote", "GET /items/{id}"]


@pytest.mark.parametrize("guarded", [False, True], ids=["bare", "with ErrorHandling"])
async def test_what_a_route_raises_is_in_its_span(guarded: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """With its cause and without secrets; who logs it afterwards does so in the same trace."""

    async def broken(_: Request) -> PlainTextResponse:
        try:
            return PlainTextResponse(dict[str, str]()["inner"])
        except KeyError as error:
            raise ValueError("password=canary") from error

    guards = [Middleware(ErrorHandling)] if guarded else []
    app = DaprFlow("shop", routes=[Route("/broken", broken)], middleware=guards)
    ids = span_ids()
    async with TestSidecar(app, spans=True) as dapr, caller(app) as client:
        if guarded:
            assert (await client.get("/broken")).status_code == 500
        else:
            with pytest.raises(ValueError, match="canary"):
                await client.get("/broken")
            span = dapr.spans.named("GET /broken")
            assert ids() == (f"{span.context.trace_id:032x}", f"{span.context.span_id:016x}")
        span = dapr.spans.named("GET /broken")
    told = [dict(each.attributes or {}) for each in span.events]
    assert [each["exception.type"] for each in told] == ["ValueError", "KeyError"]
    assert "canary" not in span.to_json()


async def test_calls_from_a_route_belong_to_it() -> None:
    """What a route of the user's own publishes is in the route's trace."""
    app = DaprFlow("shop")

    async def buy(request: Request) -> PlainTextResponse:
        await app.client.publish(ORDERS, Order("o1"))
        return PlainTextResponse("ok")

    app = DaprFlow("shop", routes=[Route("/buy", buy, methods=["POST"])])

    @app.topic(ORDERS)
    async def on_order(order: Order) -> None: ...

    async with TestSidecar(app, spans=True) as dapr, caller(app) as client:
        await client.post("/buy")
        await dapr.publish(ORDERS, Order("o2"))
    lines = dapr.spans.tree().splitlines()
    assert lines[:3] == ["POST /buy", "  publish orders", "    process orders"]


@pytest.mark.parametrize("kind", ["starlette", "fastapi"])
async def test_routes_of_a_host_have_spans(kind: str) -> None:
    """An application that the app is installed into is instrumented while it runs."""
    host: Any = FastAPI() if kind == "fastapi" else Starlette()
    host.router.routes.append(Route("/items/{id}", item))
    app = DaprFlow("shop")

    @app.invoke
    async def quote(order: Order) -> int:
        return 1

    app.install(host)
    async with TestSidecar(app, host=host, spans=True) as dapr, caller(host) as client:
        await client.get("/items/7")
        await client.post("/quote", content=b'{"id": "1"}')
    assert dapr.spans.names == ["GET /items/{id}", "shop/quote"]
    assert not isinstance(host.middleware_stack, OpenTelemetryMiddleware)


async def test_a_host_that_is_instrumented_already_is_left_alone() -> None:
    """Nobody has two spans for one request."""
    kept = CollectedSpans()
    host = Starlette(routes=[Route("/items/{id}", item)])
    host.add_middleware(
        OpenTelemetryMiddleware,
        tracer_provider=kept.provider,
        exclude_spans=["receive", "send"],
    )
    app = DaprFlow("shop", observability=Observability(tracer_provider=kept.provider))
    app.install(host)
    async with TestSidecar(app, host=host), caller(host) as client:
        await client.get("/items/7")
    assert [each.name for each in kept].count("GET /items/7") == 1


async def test_a_wrapped_application_has_spans() -> None:
    """What is passed on to a wrapped application has spans; Dapr's paths have ours."""
    app = DaprFlow("shop")

    @app.invoke
    async def quote(order: Order) -> int:
        return 1

    whole = app.wrap(Starlette(routes=[Route("/items/{id}", item)]))
    async with TestSidecar(app, host=whole, spans=True) as dapr, caller(whole) as client:
        await client.get("/items/7")
        await client.post("/quote", content=b'{"id": "1"}')
    assert dapr.spans.names == ["GET /items/{id}", "shop/quote"]
