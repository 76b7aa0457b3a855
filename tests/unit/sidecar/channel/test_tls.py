"""The app channel over TLS."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from daprflow.protocol.http import HttpRequest, HttpResponse, StreamedRequest
from daprflow.sidecar.channel.base import AppAway, AppUnreachable
from daprflow.sidecar.channel.tls import TlsChannel
from tests.helpers.certificates import self_signed

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
GET = HttpRequest("GET", "/a%20b?c=d", (("x", "y"),))


class SecureApp:
    """A server with TLS that gives every request the same bytes."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.requests: list[bytes] = []
        self.tasks: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer until the peer goes."""
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            while True:
                self.requests.append(await reader.readuntil(b"\r\n\r\n"))
                writer.write(self.answer)
                if not self.answer.endswith(b"ok"):
                    break
        writer.close()
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            await writer.wait_closed()


@contextlib.asynccontextmanager
async def talking_to(
    app: SecureApp, *, app_token: str | None = None, max_concurrency: int | None = None
) -> AsyncIterator[TlsChannel]:
    """Run ``app`` and give a channel to it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with TemporaryDirectory() as folder:
        context.load_cert_chain(self_signed(Path(folder)))
    server = await asyncio.start_server(app.serve, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    channel = TlsChannel("127.0.0.1", port, app_token=app_token, max_concurrency=max_concurrency)
    try:
        yield channel
    finally:
        await channel.close()
        server.close()
        if app.tasks:
            await asyncio.wait(app.tasks)


async def nothing() -> AsyncIterator[bytes]:
    """Give no pieces."""
    parts: tuple[bytes, ...] = ()
    for part in parts:
        yield part


@pytest.mark.row("S-34")
async def test_a_call_over_tls() -> None:
    """The certificate is not verified, as by the real runtime; target and headers are as given."""
    app = SecureApp(OK)
    async with talking_to(app, app_token="secret") as channel:
        assert await channel.probe()
        assert await channel.send(GET) == HttpResponse(200, (("content-length", "2"),), b"ok")
        assert (await channel.check(GET)).status == 200
    assert app.requests[0].startswith(b"GET /a%20b?c=d HTTP/1.1\r\n")
    assert b"secret" in app.requests[0]
    assert b"secret" not in app.requests[1]


async def test_a_redirect_is_not_followed() -> None:
    """The app's answer is passed on as it is."""
    answer = b"HTTP/1.1 302 Found\r\nlocation: https://elsewhere/\r\ncontent-length: 2\r\n\r\nok"
    async with talking_to(SecureApp(answer)) as channel:
        assert (await channel.send(GET)).header("location") == "https://elsewhere/"


async def test_a_streamed_answer_gives_its_slot_back() -> None:
    """Read to its end or closed, the next call gets through."""
    async with talking_to(SecureApp(OK), max_concurrency=1) as channel:
        request = StreamedRequest("GET", "/", (), nothing(), 0)
        response = await channel.stream(request)
        assert b"".join([chunk async for chunk in response.chunks]) == b"ok"
        response = await channel.stream(request)
        await response.close()
        assert (await channel.send(GET)).status == 200


@pytest.mark.parametrize(
    "answer", [b"garbage\r\n\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx"]
)
async def test_what_is_no_answer_is_unreachable(answer: bytes) -> None:
    """An unsound answer is one error."""
    async with talking_to(SecureApp(answer)) as channel:
        with pytest.raises(AppUnreachable):
            await channel.send(GET)


async def test_an_app_that_does_not_listen_is_away() -> None:
    """A refused connection says that nothing reached the app."""
    async with talking_to(SecureApp(OK)) as gone:
        pass
    channel = TlsChannel("127.0.0.1", gone._port)
    with pytest.raises(AppAway):
        await channel.send(GET)
    assert not await channel.probe()
    await channel.close()
