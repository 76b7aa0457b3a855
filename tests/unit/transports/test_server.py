"""What the HTTP server refuses by itself, over real sockets."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from starlette.types import Receive, Scope, Send

from daprflow.transports.server import HttpServer, Limits, StartFailed

HOST = b"host: a\r\n"
QUICK = Limits(header_seconds=0.2, body_seconds=0.2, linger_seconds=0.2)


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    """Read the body, answer its length."""
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    await answer(send, str(size).encode())


async def careless(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer without reading the body."""
    await answer(send, b"early")


async def answer(send: Send, body: bytes) -> None:
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def serving(
    limits: Limits | None = None,
    app: Callable[[Scope, Receive, Send], Awaitable[None]] = hello,
) -> AsyncIterator[int]:
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    server = HttpServer(app, limits)
    await server.start(listener)
    try:
        yield port
    finally:
        await server.stop(1.0)


async def exchange(port: int, *pieces: bytes) -> bytes:
    """Send bytes and read until the server hangs up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        async with asyncio.timeout(10):
            return await reader.read()
    finally:
        writer.close()


def request(*headers: bytes, target: bytes = b"/", body: bytes = b"") -> bytes:
    lines = b"".join(header + b"\r\n" for header in headers)
    return b"POST " + target + b" HTTP/1.1\r\n" + HOST + lines + b"\r\n" + body


CLOSE = b"connection: close"
CHUNKED = b"transfer-encoding: chunked"


async def test_a_request_is_served() -> None:
    """An ordinary request reaches the application."""
    async with serving() as port:
        got = await exchange(port, request(CLOSE, b"content-length: 3", body=b"abc"))
    assert got.startswith(b"HTTP/1.1 200 OK\r\n")
    assert got.endswith(b"\r\n\r\n3")


async def test_a_connection_serves_one_request_after_the_other() -> None:
    """Pipelined requests are answered in order on one connection."""
    async with serving() as port:
        got = await exchange(
            port,
            request(b"content-length: 1", body=b"a"),
            request(b"content-length: 2", CLOSE, body=b"bb"),
        )
    assert [part[-1:] for part in got.split(b"HTTP/1.1 200 OK")[1:]] == [b"1", b"2"]


@pytest.mark.row("FA-23", "S-14")
@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n", b"400"),
        (b"GET / HTTP/1.0\r\nhost: a\r\nhost: b\r\n\r\n", b"400"),
        (request(b"content-length: 3", b"transfer-encoding: chunked", body=b"0\r\n\r\n"), b"400"),
        (request(b"transfer-encoding: chunked", b"content-length: 3", body=b"0\r\n\r\n"), b"400"),
        (request(b"content-length: 3", b"content-length: 4", body=b"abcd"), b"400"),
        (request(b"transfer-encoding: xchunked", body=b"0\r\n\r\n"), b"400"),
        (request(b"content-length: -1"), b"400"),
        (request(b"content-length : 3", body=b"abc"), b"400"),
        (request(b"x: a\r\n b"), b"400"),
        (request(b"x: a\nb: c"), b"400"),
        (request(b"x: a\rb"), b"400"),
        (request(b"x: a\0b"), b"400"),
        (b"GET /\x01 HTTP/1.1\r\nhost: a\r\n\r\n", b"400"),
        (b"\x16\x03\x01\x02\x00\x01\x00", b"400"),
        (b"nonsense\r\n\r\n", b"400"),
    ],
)
async def test_ambiguous_requests_are_refused_and_the_connection_ends(
    raw: bytes, status: bytes
) -> None:
    """FA-23: nothing that two parsers could read differently reaches the application."""
    async with serving() as port:
        got = await exchange(port, raw)
    assert got.startswith(b"HTTP/1.1 " + status)
    assert got.count(b"connection: close") == 1


async def test_http_1_0_needs_no_host() -> None:
    """A health checker that speaks HTTP/1.0 is served."""
    async with serving() as port:
        assert (await exchange(port, b"GET / HTTP/1.0\r\n\r\n")).startswith(b"HTTP/1.1 200")


async def test_long_headers_are_answered_431_although_they_come_in_one_piece() -> None:
    """The limit counts bytes of headers, not reads."""
    async with serving(Limits(header_bytes=4096)) as port:
        got = await exchange(port, request(b"x: " + b"y" * 5000))
    assert got.startswith(b"HTTP/1.1 431")


async def test_a_body_longer_than_the_header_limit_is_no_header() -> None:
    """Only headers count, even when the body comes with them."""
    async with serving(Limits(header_bytes=4096)) as port:
        got = await exchange(port, request(CLOSE, b"content-length: 9000", body=b"z" * 9000))
    assert got.endswith(b"9000")


@pytest.mark.row("FA-21")
async def test_a_64_mib_header_is_refused_early() -> None:
    """FA-21: an endless header ends the connection long before it was read."""
    async with serving() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\n" + HOST + b"x: ")
        sent, chunk = 0, b"y" * 65_536
        try:
            while sent < 64 * 1024 * 1024:
                writer.write(chunk)
                await writer.drain()
                sent += len(chunk)
                if reader.at_eof():
                    break
        except ConnectionError:
            pass
        finally:
            writer.close()
        assert sent < 64 * 1024 * 1024


async def test_a_refusal_reaches_a_peer_that_is_still_sending() -> None:
    """The answer is not lost in a reset."""
    async with serving(Limits(header_bytes=1024)) as port:
        got = await exchange(port, b"GET / HTTP/1.1\r\n" + HOST + b"x: ", *[b"y" * 800] * 20)
    assert got.startswith(b"HTTP/1.1 431")


@pytest.mark.row("FS-19")
async def test_a_long_target_is_answered_414() -> None:
    """FS-19: a URL of 1 MB."""
    async with serving(Limits(header_bytes=4096)) as port:
        got = await exchange(port, request(target=b"/" + b"a" * 5000))
    assert got.startswith(b"HTTP/1.1 414")


@pytest.mark.row("FS-19")
async def test_many_headers_are_answered_431() -> None:
    """FS-19: the number of headers is bounded too."""
    async with serving(Limits(header_count=100)) as port:
        got = await exchange(port, request(*[b"a: b"] * 101))
    assert got.startswith(b"HTTP/1.1 431")


@pytest.mark.row("FS-18", "S-23")
async def test_a_silent_connection_is_closed() -> None:
    """FS-18: whoever connects and says nothing is asked to leave."""
    async with serving(QUICK) as port:
        assert (await exchange(port)).startswith(b"HTTP/1.1 408")


@pytest.mark.row("FS-18", "S-23")
async def test_a_slow_header_is_closed() -> None:
    """FS-18: the time to the end of the headers does not start anew with each byte."""
    async with serving(QUICK) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            async with asyncio.timeout(5):
                while not reader.at_eof():
                    writer.write(b"G")
                    try:
                        async with asyncio.timeout(0.05):
                            await reader.read(1000)
                    except TimeoutError:
                        continue
        except ConnectionError:
            pass
        finally:
            writer.close()


async def test_a_later_request_has_the_same_deadline() -> None:
    """A connection that was served once cannot dawdle afterwards."""
    async with serving(QUICK) as port:
        got = await exchange(port, request(), b"POST / HTTP/1.1\r\nho")
    assert got.startswith(b"HTTP/1.1 200")
    assert b"HTTP/1.1 408" in got


@pytest.mark.row("FS-18")
async def test_a_body_that_stops_is_closed_and_the_application_told() -> None:
    """FS-18: a peer that stops in the middle of its body is given up."""
    told = asyncio.Event()

    async def waiting(scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        told.set()

    async with serving(QUICK, waiting) as port:
        got = await exchange(port, request(b"content-length: 10", body=b"abc"))
        async with asyncio.timeout(5):
            await told.wait()
    assert got.startswith(b"HTTP/1.1 408")


async def test_a_slow_application_is_not_the_peers_fault() -> None:
    """The body's deadline rests while nobody reads it."""

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        async with asyncio.timeout(5):
            await asyncio.to_thread(lambda: __import__("time").sleep(0.6))
        await hello(scope, receive, send)

    async with serving(QUICK, slow) as port:
        body = b"z" * 3_000_000
        got = await exchange(port, request(CLOSE, b"content-length: 3000000", body=body))
    assert got.endswith(b"3000000")


async def test_a_body_nobody_reads_does_not_keep_the_connection() -> None:
    """After an early answer, a peer that goes on sending is cut off."""
    async with serving(QUICK, careless) as port:
        got = await exchange(port, request(b"content-length: 100000000", body=b"x" * 1000))
    assert got.endswith(b"early")


async def test_a_short_unread_body_does_not_cost_the_connection() -> None:
    """After an early answer, a body that ends soon leaves the connection usable."""
    async with serving(QUICK, careless) as port:
        got = await exchange(
            port, request(b"content-length: 4"), b"late", request(CLOSE, b"content-length: 0")
        )
    assert got.count(b"early") == 2


@pytest.mark.row("FA-21")
async def test_a_200_mb_body_is_not_kept_in_memory() -> None:
    """FA-21: what the application does not read stays with the peer."""
    async with serving(QUICK, careless) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request(b"content-length: 200000000"))
        try:
            async with asyncio.timeout(10):
                while not reader.at_eof():
                    writer.write(b"x" * 65_536)
                    await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()


@pytest.mark.row("S-23")
async def test_connections_beyond_the_cap_are_answered_503() -> None:
    """S-23: the cap is on connections, and those that are served stay."""
    async with serving(Limits(connections=2)) as port:
        first = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
        assert (await exchange(port)).startswith(b"HTTP/1.1 503")
        reader, writer = first[0]
        writer.write(request())
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        for _, each in first:
            each.close()


async def test_garbage_after_a_good_request_does_not_cost_its_answer() -> None:
    """What was asked properly is answered, then the connection ends."""
    async with serving() as port:
        got = await exchange(
            port, request(b"content-length: 1", body=b"a") + b"\x00garbage\r\n\r\n"
        )
    assert got.startswith(b"HTTP/1.1 200")
    assert got.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize(
    ("rest", "pause", "status"),
    [
        (
            b"transfer-encoding: chunkedddddddd\r\n\r\n3\r\nab\x05P\n0\r\n\r\n",
            0.0,
            b"HTTP/1.1 400",
        ),
        (b"content-length: 9\r\n\r\n", 2 * QUICK.body_seconds, b"HTTP/1.1 408"),
    ],
)
async def test_a_refused_body_is_not_asked_for(
    rest: bytes, pause: float, status: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """A peer that waits to be asked for its body is told one thing; the application ends well."""
    ended = asyncio.Event()

    async def reading(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(pause)  # until the peer was refused
        await hello(scope, receive, send)
        ended.set()

    async with serving(QUICK, reading) as port:
        got = await exchange(port, b"POST / HTTP/1.1\r\nexpect: 100-continue\r\nhost: a\r\n" + rest)
        async with asyncio.timeout(5):
            await ended.wait()
    assert got.startswith(status)
    assert b"100 Continue" not in got
    assert not caplog.records


async def test_an_upgrade_nobody_offers_is_an_ordinary_request() -> None:
    """Java clients ask for h2c with every first request."""
    async with serving() as port:
        got = await exchange(
            port,
            request(b"connection: upgrade", b"upgrade: h2c", b"content-length: 2", body=b"ab"),
            request(CLOSE),
        )
    assert [part[-1:] for part in got.split(b"HTTP/1.1 200 OK")[1:]] == [b"2", b"0"]


@pytest.mark.row("S-14")
@pytest.mark.parametrize("pieces", [1, 7])
async def test_a_body_after_a_wish_is_no_request(pieces: int) -> None:
    """What follows a wish for another protocol belongs to its request, however it comes."""
    inner = b"POST /smuggled HTTP/1.1\r\n" + HOST + b"\r\n"
    length = b"content-length: %d" % len(inner)
    wish = request(b"connection: upgrade", b"upgrade: h2c", length, body=inner)
    chunks = b"%x\r\n%s\r\n0\r\n\r\n" % (len(inner), inner)
    chunked = request(b"upgrade: h2c", b"connection: upgrade, close", CHUNKED, body=chunks)
    sent = wish + chunked
    size = len(sent) // pieces + 1
    async with serving() as port:
        got = await exchange(port, *(sent[at : at + size] for at in range(0, len(sent), size)))
    wanted = str(len(inner)).encode()
    assert [part[-2:] for part in got.split(b"HTTP/1.1 200 OK")[1:]] == [wanted, wanted]


@pytest.mark.row("S-14")
async def test_nothing_follows_connect() -> None:
    """A proxy is asked so; what comes after it is for nobody."""
    async with serving() as port:
        got = await exchange(port, b"CONNECT a:1 HTTP/1.1\r\n" + HOST + b"\r\n" + request())
    assert got.startswith(b"HTTP/1.1 400")
    assert got.count(b"connection: close") == 1


@pytest.mark.row("S-14")
async def test_other_versions_are_refused() -> None:
    """A request line without a version is one of HTTP/0.9, which has no headers."""
    async with serving() as port:
        got = await exchange(port, b"GET /\r\n" + HOST + b"\r\n")
    assert got.startswith(b"HTTP/1.1 400")


@pytest.mark.row("FA-07")
async def test_stopping_lets_a_request_in_flight_end() -> None:
    """G7: an answer under way is delivered, then the server is gone."""
    entered, release = asyncio.Event(), asyncio.Event()

    async def held(scope: Scope, receive: Receive, send: Send) -> None:
        entered.set()
        await release.wait()
        await answer(send, b"done")

    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    server = HttpServer(held)
    await server.start(listener)
    got = asyncio.create_task(exchange(port, request()))
    await entered.wait()
    stopping = asyncio.create_task(server.stop(5.0))
    release.set()
    await stopping
    assert (await got).endswith(b"done")
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)


async def test_stopping_ends_a_request_that_outlives_the_grace(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The grace period is a promise: a handler that hangs is cancelled, and one line says so."""
    entered = asyncio.Event()

    async def stuck(scope: Scope, receive: Receive, send: Send) -> None:
        entered.set()
        await asyncio.Event().wait()

    listener = socket.create_server(("127.0.0.1", 0))
    server = HttpServer(stuck)
    await server.start(listener)
    got = asyncio.create_task(exchange(listener.getsockname()[1], request()))
    await entered.wait()
    async with asyncio.timeout(5):
        await server.stop(0.5)
        await asyncio.gather(got, return_exceptions=True)
    (told,) = caplog.records
    assert told.getMessage() == (
        "1 request(s) outlived the grace period and were cancelled; a longer one lets them end"
    )
    assert told.exc_info is None


async def test_a_failing_lifespan_is_an_error_not_an_exit() -> None:
    """The embedding process decides what a failed start means."""

    async def failing(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})

    with socket.create_server(("127.0.0.1", 0)) as listener, pytest.raises(StartFailed):
        await HttpServer(failing, lifespan=True).start(listener)


@pytest.mark.row("FS-18", "S-23")
async def test_a_reader_that_takes_nothing_is_dropped() -> None:
    """FS-18: an answer nobody reads does not stay in memory for ever."""
    gone = asyncio.Event()

    async def endless(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(1000):
            await send({"type": "http.response.body", "body": b"x" * 65_536, "more_body": True})
        await receive()
        gone.set()

    async with serving(QUICK, endless) as port:
        with socket.create_connection(("127.0.0.1", port)) as peer:
            peer.sendall(request())
            async with asyncio.timeout(5):
                await gone.wait()
