"""The app channel without a socket."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any

import pytest

from daprflow.protocol.http import HttpRequest, StreamedRequest
from daprflow.sidecar.channel.base import AppUnreachable
from daprflow.sidecar.channel.in_process import AsgiChannel

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Echo:
    """An ASGI app that gives back what it got, in two pieces."""

    def __init__(self) -> None:
        self.scopes: list[Scope] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scopes.append(scope)
        body = b""
        more = True
        while more:
            event = await receive()
            body += event["body"]
            more = event["more_body"]
        headers = [(b"X-Answer", b"yes")]
        await send({"type": "http.response.start", "status": 201, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": True})
        await send({"type": "http.response.body", "body": b"!"})


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    """Give ``parts`` one by one."""
    for part in parts:
        yield part


async def test_a_call_carries_path_query_headers_and_token() -> None:
    """The app sees what it would see over a socket."""
    app = Echo()
    channel = AsgiChannel(app, app_token="secret")
    answer = await channel.send(HttpRequest("POST", "/a%20b?c=d", (("x", "y"),), b"body"))
    assert (answer.status, answer.body, answer.header("x-answer")) == (201, b"body!", "yes")
    (scope,) = app.scopes
    assert (scope["path"], scope["raw_path"], scope["query_string"]) == ("/a b", b"/a%20b", b"c=d")
    assert (b"x", b"y") in scope["headers"]
    assert (b"dapr-api-token", b"secret") in scope["headers"]
    assert (b"content-length", b"4") in scope["headers"]


async def test_a_health_probe_carries_no_token() -> None:
    """`check` leaves the app's token out."""
    app = Echo()
    channel = AsgiChannel(app, app_token="secret")
    assert (await channel.check(HttpRequest("GET", "/healthz"))).status == 201
    assert all(name != b"dapr-api-token" for name, _ in app.scopes[0]["headers"])
    assert await channel.probe()
    await channel.close()


async def raising(scope: Scope, receive: Receive, send: Send) -> None:
    """Fail before an answer."""
    raise RuntimeError("broken")


async def silent(scope: Scope, receive: Receive, send: Send) -> None:
    """Return without an answer."""


@pytest.mark.parametrize(("app", "reason"), [(raising, "broken"), (silent, "without an answer")])
async def test_an_app_without_an_answer_is_unreachable(app: Any, reason: str) -> None:
    """An app that raises or returns nothing gives one reason, collected or streamed."""
    channel = AsgiChannel(app)
    with pytest.raises(AppUnreachable, match=reason):
        await channel.send(HttpRequest("GET", "/"))
    with pytest.raises(AppUnreachable, match=reason):
        await channel.stream(StreamedRequest("GET", "/", (), chunks(), 0))


async def test_bodies_are_streamed_both_ways() -> None:
    """Pieces go in and come out as they are."""
    channel = AsgiChannel(Echo())
    response = await channel.stream(StreamedRequest("POST", "/", (), chunks(b"a", b"b")))
    assert response.status == 201
    assert b"".join([chunk async for chunk in response.chunks]) == b"ab!"


async def test_a_streamed_answer_can_be_given_up() -> None:
    """Closing a streamed answer cancels the app's call."""
    ended = asyncio.Event()

    async def endless(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    channel = AsgiChannel(endless)
    response = await channel.stream(StreamedRequest("GET", "/", (), chunks(), 0))
    await response.close()
    assert ended.is_set()


async def test_an_app_sees_the_end_of_its_caller() -> None:
    """After the body the next receive is a disconnect, once the answer is out."""
    events: list[str] = []

    async def listening(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})
        events.append((await receive())["type"])

    assert (await AsgiChannel(listening).send(HttpRequest("GET", "/"))).status == 204
    assert events == ["http.disconnect"]
