"""The client over real sockets."""

import asyncio
import gzip
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
from starlette.responses import Response

from daprflow.addresses import Endpoint
from daprflow.client import Client, Item
from daprflow.errors import InvocationError, SidecarError, SidecarUnavailable
from daprflow.protocol.http import HttpRequest
from daprflow.settings import Settings
from daprflow.transports.base import ConnectionLost
from daprflow.transports.http import HttpTransport
from tests.helpers.small_sidecar import SmallSidecar

Connection = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A listening socket on a free loopback port."""
    with socket.create_server(("127.0.0.1", 0)) as bound:
        yield bound


@pytest.fixture
async def served(listener: socket.socket) -> AsyncIterator[tuple[SmallSidecar, str]]:
    """A small sidecar under uvicorn, and its URL."""
    sidecar = SmallSidecar()
    config = uvicorn.Config(sidecar, lifespan="off", log_config=None, ws="none")
    server = uvicorn.Server(config)
    task = asyncio.create_task(server._serve([listener]))
    yield sidecar, f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    await task


@asynccontextmanager
async def serving(app: Any) -> AsyncIterator[str]:
    """Serve an ASGI app under uvicorn; gives the URL."""
    with socket.create_server(("127.0.0.1", 0)) as bound:
        server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_config=None, ws="none"))
        task = asyncio.create_task(server._serve([bound]))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"
        server.should_exit = True
        await task


@asynccontextmanager
async def answering(connection: Connection) -> AsyncIterator[str]:
    """Serve raw connections; gives the URL."""
    server = await asyncio.start_server(connection, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def saying(data: bytes) -> Connection:
    """Return a connection that reads one request's head, says ``data`` and closes."""

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(data)
        writer.close()

    return connection


async def test_every_block_works_over_a_socket(served: tuple[SmallSidecar, str]) -> None:
    """State, publish and the rest go over HTTP just as they go in process."""
    sidecar, url = served
    async with Client(Settings(http_endpoint=url)) as client:
        store = client.state("store")
        await store.set("a/b?c#d%e..ż", ["x"])
        item = await store.get("a/b?c#d%e..ż", list[str])
        await client.publish("pubsub", "orders/new", {"total": 5})

    assert item == Item(["x"], "1")
    assert sidecar.requests[-1] == ("POST", "/v1.0/publish/pubsub/orders%2Fnew", b'{"total":5}')


async def test_the_token_goes_with_every_call(served: tuple[SmallSidecar, str]) -> None:
    """DAPR_API_TOKEN is sent as dapr-api-token."""
    sidecar, url = served
    async with Client(Settings(http_endpoint=url, api_token="t0")) as client:
        await client.publish("p", "t", 1)

    assert sidecar.headers[0]["dapr-api-token"] == "t0"


async def test_no_token_no_header(served: tuple[SmallSidecar, str]) -> None:
    """Without a token there is no header, and no cookie or agent of the library either."""
    sidecar, url = served
    async with Client(Settings(http_endpoint=url)) as client:
        await client.state("s").get("k", int)
        await client.request("app", "method")

    assert sidecar.headers[0].keys() == {"host", "accept", "accept-encoding", "user-agent"}
    assert sidecar.headers[0]["accept-encoding"] == "identity"
    assert sidecar.headers[0]["user-agent"] == "daprflow"
    assert "content-type" not in sidecar.headers[1]


@pytest.mark.row("S-16")
async def test_a_redirect_is_an_answer(served: tuple[SmallSidecar, str]) -> None:
    """The client follows no redirect: a sidecar's peer could send it anywhere."""
    sidecar, url = served
    path = "/v1.0/invoke/a/method/m"
    sidecar.answers[path] = Response(status_code=307, headers={"location": "/v1.0/shutdown"})

    async with Client(Settings(http_endpoint=url)) as client:
        with pytest.raises(InvocationError) as caught:
            await client.invoke(Endpoint("a", "m", str, str), "x")

    assert caught.value.status == 307
    assert [target for _, target, _ in sidecar.requests] == [path]


async def test_connections_are_kept(served: tuple[SmallSidecar, str]) -> None:
    """Calls one after the other use one connection."""
    sidecar, url = served
    transport = HttpTransport(Settings(http_endpoint=url))
    for _ in range(5):
        await transport.send(HttpRequest("GET", "/v1.0/state/s/k"))
    await transport.close()

    assert len(sidecar.peers) == 1


async def test_a_long_body_arrives(served: tuple[SmallSidecar, str]) -> None:
    """It is sent in pieces and without a warning, and its length is said."""
    sidecar, url = served
    text = "x" * 3_000_000
    async with Client(Settings(http_endpoint=url)) as client:
        await client.publish("p", "t", text)

    assert sidecar.requests[-1][2] == text.encode()
    assert sidecar.headers[-1]["content-length"] == "3000000"
    assert sidecar.headers[-1]["content-type"].startswith("text/plain")


async def test_another_loop_is_refused(served: tuple[SmallSidecar, str]) -> None:
    """Connections belong to a loop; in another one the error says what to do."""
    _, url = served
    transport = HttpTransport(Settings(http_endpoint=url))
    request = HttpRequest("GET", "/v1.0/state/s/k")
    await transport.send(request)

    with pytest.raises(RuntimeError, match="open in another event loop"):
        await asyncio.to_thread(lambda: asyncio.run(transport.send(request)))
    await transport.close()


@pytest.mark.row("FA-06")
async def test_a_long_answer_is_refused(served: tuple[SmallSidecar, str]) -> None:
    """An answer beyond the limit is an error that names the setting."""
    sidecar, url = served
    sidecar.answers["/big"] = Response(b"x" * 1001)
    transport = HttpTransport(Settings(http_endpoint=url, max_response_size=1000))

    with pytest.raises(SidecarError, match="'max_response_size'"):
        await transport.send(HttpRequest("GET", "/big"))
    await transport.close()


@pytest.mark.row("S-21")
async def test_a_small_bomb_is_refused(served: tuple[SmallSidecar, str]) -> None:
    """The limit counts what comes out of a compressed answer."""
    sidecar, url = served
    bomb = gzip.compress(b"\0" * 10_000_000)
    sidecar.answers["/bomb"] = Response(bomb, headers={"content-encoding": "gzip"})
    transport = HttpTransport(Settings(http_endpoint=url, max_response_size=1_000_000))

    with pytest.raises(SidecarError, match="longer than 1000000 bytes"):
        await transport.send(HttpRequest("GET", "/bomb"))
    await transport.close()


@pytest.mark.row("FA-01")
async def test_nobody_listening_names_address_and_variable(listener: socket.socket) -> None:
    """A refused connection says where, and which variable to set."""
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    listener.close()
    transport = HttpTransport(Settings(http_endpoint=url))

    with pytest.raises(ConnectionLost) as caught:
        await transport.send(HttpRequest("GET", "/"))
    await transport.close()

    assert url in str(caught.value)
    assert "DAPR_HTTP_PORT" in str(caught.value)
    assert "daprflow run" in str(caught.value)
    assert "Connection refused" in str(caught.value)
    assert "ssl" not in str(caught.value)


@pytest.mark.row("FA-05")
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-encoding: gzip\r\n\r\nabcde",
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * 20_000 + b"\r\n\r\n",
    ],
)
async def test_garbage_is_a_lost_connection(data: bytes) -> None:
    """Whatever answers there, if it is no sound HTTP answer, no sidecar answered.

    The text has no piece of it, and neither query nor key of the call; nor has a traceback.
    """
    async with answering(saying(data)) as url:
        transport = HttpTransport(Settings(http_endpoint=url))
        with pytest.raises(ConnectionLost) as caught:
            await transport.send(HttpRequest("POST", "/key?password=hunter2", body=b"x"))
        await transport.close()

    text = str(caught.value)
    assert text.startswith(f"no sidecar answered at {url}: ")
    assert not any(word in text for word in ("hunter2", "/key", "SSH", "yyy", "\n"))
    assert caught.value.__suppress_context__


@pytest.mark.row("FA-04")
async def test_silence_ends_after_the_timeout() -> None:
    """A peer that says nothing is given up, and the call is not repeated."""
    connections = []
    done = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer)
        await done.wait()
        writer.close()

    async with answering(silent) as url:
        settings = Settings(http_endpoint=url, http_timeout=0.05, health_timeout=0)
        async with Client(settings) as client:
            with pytest.raises(SidecarUnavailable, match=r"within 0\.05 s") as caught:
                await client.state("s").get("k", int)
        done.set()

    assert not isinstance(caught.value, ConnectionLost)
    assert len(connections) == 1


async def test_a_closed_transport_opens_again(served: tuple[SmallSidecar, str]) -> None:
    """After close the next call makes a new connection."""
    _, url = served
    transport = HttpTransport(Settings(http_endpoint=url))
    for _ in range(2):
        assert (await transport.send(HttpRequest("GET", "/x"))).status == 204
        await transport.close()


@pytest.mark.row("FA-03")
async def test_a_restarted_sidecar_is_found_again(listener: socket.socket) -> None:
    """A kept connection that died with the sidecar does not fail the next read."""
    heads = []

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        await reader.read(1)  # the next request comes, and is never answered
        writer.close()

    async with (
        answering(once) as url,
        Client(Settings(http_endpoint=url, health_timeout=0)) as client,
    ):
        for key in ("a", "b", "c"):
            assert await client.state("s").get(key, int) is None

    assert len(heads) >= 3


async def test_bodies_pass_in_pieces_both_ways() -> None:
    """The answer begins while the request is still being sent, and neither is held in memory."""
    heard = asyncio.Event()

    async def echo(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x", b"y")]})
        while (message := await receive())["type"] == "http.request":
            body = {"type": "http.response.body", "body": message.get("body", b"")}
            await send({**body, "more_body": message.get("more_body", False)})
            if not message.get("more_body"):
                return

    async def chunks() -> AsyncIterator[bytes]:
        yield b"first"
        await heard.wait()
        yield b"second"

    async with (
        serving(echo) as url,
        Client(Settings(http_endpoint=url, health_timeout=0)) as client,
    ):
        got = []
        async with client.stream("app", "echo", chunks()) as response:
            async for chunk in response:
                got.append(chunk)
                heard.set()

    assert (response.status, response.header("X")) == (200, "y")
    assert b"".join(got) == b"firstsecond"
    assert got[0] == b"first"


async def test_an_answer_given_up_leaves_no_connection_in_use(
    served: tuple[SmallSidecar, str],
) -> None:
    """Leaving the block early ends the answer, and the client goes on."""
    sidecar, url = served
    sidecar.answers["/v1.0/invoke/app/method/big"] = Response(b"x" * 1_000_000)
    async with Client(Settings(http_endpoint=url)) as client:
        async with client.stream("app", "big", verb="GET") as response:
            async for _ in response:
                break
        assert await client.state("s").get("k", int) is None


@pytest.mark.row("FA-05")
@pytest.mark.parametrize("rest", [b"", b"3\r\nabc\r\n"])
async def test_an_answer_that_breaks_off_is_a_lost_connection(rest: bytes) -> None:
    """Half an answer is never taken for a whole one."""
    head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    async with (
        answering(saying(head + rest)) as url,
        Client(Settings(http_endpoint=url, health_timeout=0)) as client,
        client.stream("app", "m") as response,
    ):
        with pytest.raises(ConnectionLost):
            await response.read()


@pytest.mark.row("FA-05")
async def test_a_piece_that_does_not_come_is_too_late() -> None:
    """The timeout of a stream is for each piece."""
    done = asyncio.Event()

    async def stalling(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n")
        await done.wait()
        writer.close()

    async with (
        answering(stalling) as url,
        Client(Settings(http_endpoint=url, health_timeout=0)) as client,
    ):
        with pytest.raises(SidecarUnavailable, match=r"within 0\.05 s"):
            async with client.stream("app", "m", timeout=0.05) as response:
                await response.read()
        done.set()


@pytest.mark.row("FA-06")
async def test_a_proxys_page_is_no_health() -> None:
    """Who answers 200 with a page is named, so that nobody looks for a sick sidecar."""
    page = b"<html><title>Sign in</title></html>"
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: %d\r\n\r\n"
    async with answering(saying(head % len(page) + page)) as url:
        client = Client(Settings(http_endpoint=url, health_timeout=0.05))
        with pytest.raises(SidecarUnavailable, match="titled 'Sign in': no sidecar listens there"):
            await client.open()


async def test_waiting_for_an_absent_sidecar_blocks_no_loop() -> None:
    """Waiting for a sidecar that is absent holds up nothing else (D6).

    The official client's constructor blocks the loop until its health timeout.
    """
    with socket.create_server(("127.0.0.1", 0)) as bound:
        port = bound.getsockname()[1]
    client = Client(Settings(http_endpoint=f"http://127.0.0.1:{port}", health_timeout=0.3))
    turns = 0
    opening = asyncio.create_task(client.open())
    while not opening.done():
        await asyncio.sleep(0.005)
        turns += 1
    with pytest.raises(SidecarUnavailable):
        await opening

    assert turns >= 10
