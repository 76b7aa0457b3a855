"""Apps that answer garbage, break off, or are away: one clear line, and no event is lost."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from daprflow.protocol.http import HttpRequest
from daprflow.sidecar.channel.http import HttpChannel
from daprflow.sidecar.options import RuntimeOptions
from tests.helpers.recording import Answer, RecordingApp, free_socket, port_of, serve
from tests.helpers.sidecar import Components, in_process_sidecar

PUBSUB: Components = {"pubsub": ("pubsub.daprflow", {})}

SUBSCRIBE = msgspec.json.encode(
    [
        {"pubsubname": "pubsub", "topic": "t", "route": "/t", "deadLetterTopic": "dead"},
        {"pubsubname": "pubsub", "topic": "dead", "route": "/dead"},
    ]
)
OK = b"HTTP/1.1 200 OK\r\n"

GARBAGE = {
    "nothing": b"",
    "not HTTP": b"\x00\x01\x02hello\r\n\r\n",
    "another protocol": b"220 smtp.example ESMTP\r\n",
    "status of letters": b"HTTP/1.1 abc OK\r\n\r\n",
    "cut off in the head": OK + b"content-le",
    "cut off in the body": OK + b"content-length: 100\r\n\r\nshort",
    "cut off in a chunk": OK + b"transfer-encoding: chunked\r\n\r\nff\r\nshort",
    "bad chunk size": OK + b"transfer-encoding: chunked\r\n\r\nzz\r\n\r\n",
    "huge header": OK + b"x: " + b"y" * 100_000 + b"\r\n\r\n",
    "many headers": OK + b"".join(b"h%d: v\r\n" % n for n in range(5000)) + b"\r\n",
    "negative length": OK + b"content-length: -1\r\n\r\n",
    "two lengths": OK + b"content-length: 1\r\ncontent-length: 2\r\n\r\nab",
    "null in a header": OK + b"x: a\x00b\r\n\r\n",
}


class RawApp:
    """An app that writes bytes as they are; its documents are proper."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.requests: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request and close."""
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            self.requests.append(head.partition(b"\r\n")[0])
            writer.write(self._answer(head))
            await writer.drain()
        writer.close()

    def _answer(self, head: bytes) -> bytes:
        if head.startswith(b"GET /dapr/subscribe"):
            length = b"content-length: %d\r\n\r\n" % len(SUBSCRIBE)
            return OK + b"connection: close\r\n" + length + SUBSCRIBE
        if head.startswith((b"GET /dapr", b"OPTIONS")):
            return b"HTTP/1.1 404 no\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
        return self.answer


@contextlib.asynccontextmanager
async def raw_app(answer: bytes) -> AsyncIterator[tuple[RawApp, int]]:
    """Serve a `RawApp`; gives its port too."""
    app = RawApp(answer)
    sock = free_socket()
    server = await asyncio.start_server(app.serve, sock=sock)
    try:
        yield app, port_of(sock)
    finally:
        server.close()
        await server.wait_closed()


@pytest.mark.row("FS-16")
@pytest.mark.parametrize("case", GARBAGE)
async def test_invoking_an_app_that_answers_garbage(tmp_path: Path, case: str) -> None:
    """Service invocation answers 500 in Dapr's shape, in one line, or breaks off what had begun."""
    async with (
        raw_app(GARBAGE[case]) as (_, port),
        in_process_sidecar(tmp_path, {}, channel=HttpChannel("127.0.0.1", port)) as sidecar,
    ):
        request = HttpRequest("POST", "/v1.0/invoke/app1/method/x", (), b"{}")
        answer = await asyncio.wait_for(sidecar.exchange.send(request), 10)
    if case in {"cut off in the body", "cut off in a chunk", "bad chunk size"}:
        assert answer.status == 200  # the head had gone out before the fault was seen
        return
    error = msgspec.json.decode(answer.body)
    assert (answer.status, error["errorCode"]) == (500, "ERR_DIRECT_INVOKE")
    assert "app1" in error["message"]
    assert "\n" not in error["message"]


@pytest.mark.row("FS-16")
@pytest.mark.parametrize("case", GARBAGE)
async def test_delivering_to_an_app_that_answers_garbage(
    tmp_path: Path, case: str, caplog: pytest.LogCaptureFixture
) -> None:
    """An event that is answered with garbage comes again, without a traceback."""
    with caplog.at_level(logging.INFO, "daprflow"):
        async with (
            raw_app(GARBAGE[case]) as (app, port),
            in_process_sidecar(tmp_path, PUBSUB, channel=HttpChannel("127.0.0.1", port)) as sidecar,
        ):
            publish = HttpRequest("POST", "/v1.0/publish/pubsub/t", (), b"1")
            assert (await sidecar.exchange.send(publish)).status == 204
            delivery = b"POST /t HTTP/1.1"
            await sidecar.until(lambda: app.requests.count(delivery) >= 3)
            app.answer = OK + b"connection: close\r\ncontent-length: 0\r\n\r\n"
            seen = app.requests.count(delivery)
            await sidecar.until(lambda: app.requests.count(delivery) > seen)
            await sidecar.engine.work.idle()
    assert [record for record in caplog.records if record.exc_info] == []
    assert all("\n" not in record.getMessage() for record in caplog.records)


def subscriber() -> RecordingApp:
    """Return an app with one subscription."""
    document = Answer(200, SUBSCRIBE, "application/json")
    return RecordingApp(lambda call: document if call.path == "/dapr/subscribe" else Answer())


def publish(number: int) -> HttpRequest:
    """Return the request that publishes ``number``."""
    return HttpRequest("POST", "/v1.0/publish/pubsub/t", (), b"%d" % number)


@pytest.mark.row("I-PS", "R-08")
async def test_an_app_that_is_away_gets_its_events_later(tmp_path: Path) -> None:
    """Events wait as long as the app's port is closed; that they cannot get there is no attempt."""
    sock = free_socket()
    port = port_of(sock)
    app = subscriber()
    async with contextlib.AsyncExitStack() as stack:
        async with serve(app, sock):
            sidecar = await stack.enter_async_context(
                in_process_sidecar(tmp_path, PUBSUB, channel=HttpChannel("127.0.0.1", port))
            )
        for number in range(5):
            assert (await sidecar.exchange.send(publish(number))).status == 204
        later = sidecar.clock.now() + 30
        await sidecar.until(lambda: sidecar.clock.now() >= later)
        async with serve(app, free_socket(port)):
            await sidecar.until(lambda: len(app.to("/t")) >= 5)
            await sidecar.engine.work.idle()
            await sidecar.runtime.close(1.0)
    assert sorted(call.json()["data"] for call in app.to("/t")) == list("01234")
    assert app.to("/dead") == []


@pytest.mark.row("FS-14")
async def test_an_app_that_never_listens_is_waited_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """While no app listens the sidecar says for whom and where it waits; calls on it work."""
    sock = free_socket()
    port = port_of(sock)
    options = RuntimeOptions("app1", app_port=port)
    channel = HttpChannel("127.0.0.1", port)
    app = subscriber()
    with caplog.at_level(logging.INFO, "daprflow"):
        async with in_process_sidecar(
            tmp_path, PUBSUB, channel=channel, options=options, connect=False
        ) as sidecar:
            connecting = asyncio.create_task(sidecar.runtime.connect())
            await sidecar.until(lambda: "waiting" in caplog.text)
            assert (await sidecar.exchange.send(publish(1))).status == 204
            outbound = HttpRequest("GET", "/v1.0/healthz/outbound")
            assert (await sidecar.exchange.send(outbound)).status == 204
            ready = HttpRequest("GET", "/v1.0/healthz")
            assert (await sidecar.exchange.send(ready)).status == 500
            async with serve(app, sock):
                await sidecar.until(connecting.done)
                assert (await sidecar.exchange.send(ready)).status == 204
                await sidecar.exchange.send(publish(2))
                await sidecar.until(lambda: bool(app.to("/t")))
                await sidecar.runtime.close(1.0)
    (line,) = [r.getMessage() for r in caplog.records if "waiting" in r.getMessage()]
    assert "'app1'" in line
    assert str(port) in line
