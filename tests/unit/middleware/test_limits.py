"""Limits of a request: its headers, its body, its form, and its time."""

import asyncio
import contextlib
import gzip
from typing import Any

import msgspec
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from daprflow import DaprFlow, Router
from daprflow.middleware import RequestLimits
from tests.helpers.app_calls import Caller, event, running


def limited(**options: Any) -> Caller:
    """A Starlette app with limits that answers the length of what it gets."""

    async def length(request: Request) -> PlainTextResponse:
        return PlainTextResponse(str(len(await request.body())))

    async def sleeps(request: Request) -> Response:
        await asyncio.Event().wait()
        return Response()

    routes = [
        Route("/length", length, methods=["POST"]),
        Route("/free", length, methods=["POST"]),
        Route("/sleeps", sleeps),
    ]
    middleware = [Middleware(RequestLimits, exclude=["/free"], **options)]
    return Caller(Starlette(routes=routes, middleware=middleware))


async def test_a_body_that_says_it_is_too_long_is_not_read() -> None:
    """413, and the connection ends."""
    call = limited(max_body=4)
    answer = await call.post("/length", b"12345", [("content-length", "5")])
    assert (answer.status, call.received) == (413, 0)
    assert answer.headers["connection"] == "close"
    assert answer.headers["content-type"] == "application/problem+json"
    assert (await call.post("/length", b"1234", [("content-length", "4")])).body == b"4"
    assert (await call.post("/free", b"12345", [("content-length", "5")])).body == b"5"


@pytest.mark.parametrize("length", ["-1", "x", "9" * 40, "1.5"])
async def test_a_length_that_is_none_is_refused(length: str) -> None:
    """Nobody knows what would come."""
    assert (await limited().post("/length", b"1", [("content-length", length)])).status == 413


async def test_a_body_in_pieces_is_counted() -> None:
    """It is refused as soon as it is too long."""
    call = limited(max_body=4)
    answer = await call.post("/length", [b"12", b"345", b"6"])
    assert (answer.status, call.received) == (413, 2)
    assert (await call.post("/length", [b"12", b"34"])).body == b"4"


async def test_too_many_or_too_long_headers_are_refused() -> None:
    """431 for both."""
    call = limited(max_headers=3, max_header_bytes=20)
    assert (await call.post("/length", b"", [("a", "1")] * 4)).status == 431
    assert (await call.post("/length", b"", [("a", "1" * 20)])).status == 431
    assert (await call.post("/length", b"", [("a", "1" * 19)])).status == 200


async def test_what_takes_too_long_is_ended() -> None:
    """504; the handler is cancelled."""
    answer = await limited(timeout=0.01).get("/sleeps")
    assert answer.status == 504
    assert answer.json["detail"] == "the request took longer than 0.01 s"


async def test_a_handler_that_takes_too_long_is_ended() -> None:
    """An event is answered 504, which the sidecar delivers again."""
    ended: list[str] = []
    app = DaprFlow("shop")
    router = Router(middleware=[Middleware(RequestLimits, timeout=0.01)])
    app.include(router)

    @router.topic("pubsub", "orders")
    async def on_order(data: bytes) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("on_order")

    async with running(app) as call:
        assert (await call.deliver("x")).status == 504
    assert ended == ["on_order"]


async def test_who_is_cancelled_from_outside_is_cancelled() -> None:
    """A time limit does not answer in the place of a server that ends."""
    call = limited(timeout=60)
    task = asyncio.create_task(call.get("/sleeps"))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_who_answers_in_spite_of_the_limit_is_not_cancelled_any_more() -> None:
    """The task serves further requests: no trace of the cancellation is left on it."""

    async def stubborn(scope: Scope, receive: Receive, send: Send) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        await PlainTextResponse("late")(scope, receive, send)

    answer = await Caller(RequestLimits(stubborn, timeout=0.01)).get("/")
    task = asyncio.current_task()
    assert (answer.body, task is not None and task.cancelling()) == (b"late", 0)


NESTED = 100_000
BOMBS = {
    "arrays": b"[" * NESTED + b"]" * NESTED,
    "objects": b'{"a":' * NESTED + b"1" + b"}" * NESTED,
    "unclosed": b"[" * NESTED,
    "digits": b"9" * NESTED,
    "exponent": b"1e" + b"9" * 1000,
    "not a number": b"NaN",
    "infinity": b"-Infinity",
    "half a character": b'"\\ud800"',
    "no UTF-8": b'"\xff"',
}


@pytest.mark.row("S-20")
@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
async def test_s20_a_json_bomb_is_a_bad_request(bomb: bytes) -> None:
    """Depth, digits and NaN: 400 for a caller, no verdict of success for an event, no crash."""
    app = DaprFlow("shop")

    @app.invoke
    async def takes_a_list(data: list[int]) -> int:
        return len(data)

    @app.topic("pubsub", "orders", dead_letter="dead")
    async def on_order(data: list[int]) -> None: ...

    async with running(app) as call:
        answer = await call.post("/takes_a_list", bomb)
        assert answer.status == 400
        assert len(answer.body) < 1000
        wrapped = event(1).replace(b'"data":1', b'"data":' + bomb)
        delivered = await call.post("/dapr/topics/pubsub/orders", wrapped)
        assert (delivered.status, delivered.verdict) == (200, "DROP")


async def test_s20_of_a_key_that_comes_twice_the_last_one_counts() -> None:
    """For every reader of the body: there is one decoder, and what it sees is what holds."""

    class Order(msgspec.Struct):
        total: int

    app = DaprFlow("shop")

    @app.invoke
    async def quote(order: Order) -> int:
        return order.total

    async with running(app) as call:
        assert (await call.post("/quote", b'{"total":1,"total":2}')).body == b"2"


async def test_s20_not_a_number_is_not_sent() -> None:
    """What JSON does not have goes out as null."""
    app = DaprFlow("shop")

    @app.invoke
    async def ratio() -> float:
        return float("nan")

    async with running(app) as call:
        assert (await call.post("/ratio")).body == b"null"


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "gzip, gzip"])
async def test_s21_a_compressed_body_is_refused(encoding: str) -> None:
    """Nothing unpacks one, so no small request becomes a large one; 415 says so."""
    bomb = gzip.compress(b"0" * 10_000_000)
    headers = [("content-encoding", encoding), ("content-length", str(len(bomb)))]
    assert (await limited().post("/length", bomb, headers)).status == 415
    answer = await limited(compressed=True).post("/length", bomb, headers)
    assert answer.body == str(len(bomb)).encode()


async def test_s21_a_handler_gets_a_compressed_body_as_it_came() -> None:
    """Without the limit, too: it is never unpacked."""
    app = DaprFlow("shop")

    @app.invoke
    async def length(data: bytes) -> int:
        return len(data)

    bomb = gzip.compress(b"0" * 10_000_000)
    async with running(app) as call:
        answer = await call.post("/length", bomb, [("content-encoding", "gzip")])
    assert answer.body == str(len(bomb)).encode()


async def test_a_request_inside_another_one_of_the_same_limit_has_its_time() -> None:
    """An app that calls itself through its middleware is ended once, and left in order."""
    depth = 0

    async def nested(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal depth
        depth += 1
        if depth < 3:
            await app(scope, receive, send)
        await asyncio.Event().wait()

    app = RequestLimits(nested, timeout=0.01)
    answer = await Caller(app).get("/")
    assert (answer.status, depth) == (504, 3)
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
