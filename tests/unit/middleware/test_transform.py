"""Transformation of requests and answers, and the order in which middleware stands."""

import gzip
import json
from collections.abc import AsyncIterator

import pytest
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from daprflow import DaprFlow
from daprflow.middleware import (
    Correlation,
    ErrorHandling,
    RateLimit,
    RequestLimits,
    TokenBucket,
    Transform,
)
from tests.helpers.app_calls import Caller, running


def echoing(*middleware: Middleware) -> Caller:
    """A Starlette app that answers with the body and tenant it gets."""

    async def echo(request: Request) -> Response:
        body = await request.body()
        assert len(body) == int(request.headers.get("content-length", len(body)))
        return Response(body, headers={"x-tenant": request.headers.get("x-tenant", "")})

    async def stream(request: Request) -> StreamingResponse:
        async def pieces() -> AsyncIterator[bytes]:
            for _ in range(3):
                yield b"abc"

        return StreamingResponse(pieces())

    async def empty(request: Request) -> Response:
        return Response(status_code=204)

    routes = [
        Route("/echo", echo, methods=["POST"]),
        Route("/stream", stream),
        Route("/empty", empty),
    ]
    return Caller(Starlette(routes=routes, middleware=middleware))


def upper(body: bytes, headers: MutableHeaders) -> bytes:
    """Change a body, and say so."""
    headers["x-upper"] = "1"
    return body.upper()


def tenant(headers: MutableHeaders) -> None:
    """Set a header whatever there was."""
    headers["x-tenant"] = "ann"


async def test_requests_are_changed_before_they_are_handled() -> None:
    """Headers, then the body; its length is seen to."""
    call = echoing(
        Middleware(Transform, request_headers=tenant, request_body=lambda body, _: body + b"!!")
    )
    answer = await call.post("/echo", [b"a", b"b"], [("content-length", "2"), ("x-tenant", "bob")])
    assert (answer.body, answer.headers["x-tenant"]) == (b"ab!!", "ann")


async def test_answers_are_changed_before_they_are_sent() -> None:
    """The body, then the headers, which see its length."""
    lengths: list[str] = []
    call = echoing(
        Middleware(
            Transform,
            response_body=upper,
            response_headers=lambda headers: lengths.append(headers.get("content-length", "")),
        )
    )
    answer = await call.post("/echo", b"ab")
    assert (answer.body, answer.headers["x-upper"], lengths) == (b"AB", "1", ["2"])
    answer = await call.get("/stream")
    assert (answer.body, answer.headers["content-length"]) == (b"ABCABCABC", "9")
    assert (await call.get("/empty")).status == 204


async def test_the_first_is_first_in_and_last_out() -> None:
    """Two transformations are like two layers."""

    def add(text: bytes) -> Middleware:
        return Middleware(
            Transform,
            request_body=lambda body, _: body + text,
            response_body=lambda body, _: body + text.upper(),
        )

    assert (await echoing(add(b"a"), add(b"b")).post("/echo", b"-")).body == b"-abBA"


async def test_bodies_that_are_too_long_are_not_held() -> None:
    """A request's is refused, an answer's passes as it is."""
    call = echoing(Middleware(Transform, request_body=upper, response_body=upper, max_body=5))
    assert (await call.post("/echo", b"abcdef")).status == 413
    assert (await call.get("/stream")).body == b"abcabcabc"


def test_a_transformation_of_nothing_is_a_mistake() -> None:
    """It would only cost time."""
    with pytest.raises(ValueError, match="nothing is transformed"):
        Transform(Starlette())


async def test_a_payload_is_changed_on_its_way_to_a_handler() -> None:
    """Events are: the envelope is the body."""

    def seven(body: bytes, _: MutableHeaders) -> bytes:
        return json.dumps({**json.loads(body), "data": 7}).encode()

    app = DaprFlow("shop", middleware=[Middleware(Transform, request_body=seven)])
    got: list[int] = []

    @app.topic("pubsub", "orders")
    async def on_order(total: int) -> None:
        got.append(total)

    async with running(app) as call:
        await call.deliver("x")
    assert got == [7]


async def test_the_documented_order_holds_together() -> None:
    """Correlation, compression, CORS, errors, limits, rates: an error passes all on its way out."""
    app = DaprFlow(
        "shop",
        middleware=[
            Middleware(Correlation),
            Middleware(GZipMiddleware, minimum_size=1),
            Middleware(CORSMiddleware, allow_origins=["https://shop.example"]),
            Middleware(ErrorHandling),
            Middleware(RequestLimits, max_body=10),
            Middleware(RateLimit, rule=TokenBucket(1)),
        ],
    )

    @app.invoke
    async def quote() -> int:
        raise ValueError

    headers = [
        ("origin", "https://shop.example"),
        ("accept-encoding", "gzip"),
        ("x-correlation-id", "order-7"),
    ]
    async with running(app) as call:
        for status in (500, 429, 413):
            body = b"x" * 11 if status == 413 else b""
            length = ("content-length", str(len(body)))
            answer = await call.post("/quote", body, [*headers, length])
            assert answer.status == status
            assert answer.headers["x-correlation-id"] == "order-7"
            assert answer.headers["access-control-allow-origin"] == "https://shop.example"
            assert answer.headers["content-encoding"] == "gzip"
            assert json.loads(gzip.decompress(answer.body))["status"] == status
