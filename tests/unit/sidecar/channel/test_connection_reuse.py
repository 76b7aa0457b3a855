"""The app channel keeps its connections: a broken pool would cost a handshake for every event."""

import asyncio
import contextlib
import gc
import socket

import pytest

from daprflow.protocol.http import HttpRequest
from daprflow.sidecar.channel.base import AppUnreachable
from daprflow.sidecar.channel.http import HttpChannel
from daprflow.sidecar.channel.http_wire import Connection

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
FIN_WAIT1 = 4
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"


class CountedApp:
    """A server that gives every request the same answer and counts its connections."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.connections = 0
        self.ended: list[asyncio.Event] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer until the peer goes."""
        self.connections += 1
        ended = asyncio.Event()
        self.ended.append(ended)
        while await reader.readline():
            while (await reader.readline()).strip():
                pass
            writer.write(self.answer)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        ended.set()


async def connections_for(answer: bytes, calls: int) -> int:
    """Return how many connections ``calls`` calls in a row need when ``answer`` is given."""
    app = CountedApp(answer)
    server = await asyncio.start_server(app.serve, "127.0.0.1", 0)
    channel = HttpChannel("127.0.0.1", server.sockets[0].getsockname()[1])
    try:
        for _ in range(calls):
            assert (await channel.send(HttpRequest("GET", "/"))).status in {200, 204}
    finally:
        await channel.close()
        server.close()
        for ended in app.ended:
            await ended.wait()
    return app.connections


@pytest.mark.parametrize(
    "answer",
    [
        OK,
        b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        CHUNKED,
    ],
)
async def test_calls_in_a_row_share_one_connection(answer: bytes) -> None:
    """A connection whose answer was framed carries the next call."""
    assert await connections_for(answer, 3) == 1


@pytest.mark.row("R-08")
@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok",
    ],
)
async def test_a_connection_the_app_gives_up_is_not_used_again(answer: bytes) -> None:
    """``connection: close`` and HTTP/1.0 end a connection with its answer."""
    assert await connections_for(answer, 3) == 3


async def test_a_connection_that_went_just_before_a_call_leaves_nothing_behind() -> None:
    """The call fails at once, and no error is left that nobody looks at."""
    app = CountedApp(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
    server = await asyncio.start_server(app.serve, "127.0.0.1", 0)
    loop = asyncio.get_running_loop()
    unseen: list[object] = []
    loop.set_exception_handler(lambda _, context: unseen.append(context))
    released: list[Connection] = []
    _, connection = await loop.create_connection(
        lambda: Connection(4096, None, released.append),
        "127.0.0.1",
        server.sockets[0].getsockname()[1],
    )
    call = (b"GET / HTTP/1.1\r\n", HttpRequest("GET", "/"))
    await connection.send(*call)
    connection.abort("it goes")
    with pytest.raises(AppUnreachable, match="closed"):
        await connection.send(*call)
    await asyncio.sleep(0)
    assert released == [connection, connection]
    server.close()
    await app.ended[0].wait()
    released.clear()
    del connection
    gc.collect()
    assert unseen == []


async def answered(listener: socket.socket) -> socket.socket:
    """Take a connection, answer one call, and return it."""
    loop = asyncio.get_running_loop()
    taken, _ = await loop.sock_accept(listener)
    assert await loop.sock_recv(taken, 4096)
    await loop.sock_sendall(taken, OK)
    return taken


@pytest.mark.skipif(not hasattr(socket, "TCP_INFO"), reason="asks the system how far an end got")
async def test_a_call_does_not_go_to_an_app_that_has_just_died() -> None:
    """A PUT, never made twice, takes a new connection where the end of the old one is here."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)  # noqa: FBT003 - the function of the library
        channel = HttpChannel("127.0.0.1", listener.getsockname()[1])
        serving = asyncio.create_task(answered(listener))
        await channel.send(HttpRequest("PUT", "/"))
        following = asyncio.create_task(answered(listener))
        await asyncio.sleep(0)
        with await serving as died:
            died.shutdown(socket.SHUT_WR)  # from here on nothing lets the event loop see it
            while died.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == FIN_WAIT1:
                pass
            assert (await channel.send(HttpRequest("PUT", "/"))).status == 200
        (await following).close()
        await channel.close()
