"""The HTTP app channel: what it sends, what it takes for an answer, and what it refuses."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daprflow.protocol.http import HttpRequest, HttpResponse, StreamedRequest
from daprflow.sidecar.channel.base import AppAway, AppUnreachable
from daprflow.sidecar.channel.http import HttpChannel
from daprflow.sidecar.channel.http_wire import Connection
from daprflow.sidecar.channel.slots import Slots

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
CHUNKED_HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n"
GET = HttpRequest("GET", "/")


class Peer:
    """A server that gives each request the next of its answers, as raw bytes."""

    def __init__(self, *answers: bytes, then_close: bool = False) -> None:
        self.answers = list(answers)
        self.then_close = then_close
        self.requests: list[bytes] = []
        self.connections = 0
        self.tasks: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        self.connections += 1
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while self.answers:
                self.requests.append(await read_request(reader))
                writer.write(self.answers.pop(0))
                await writer.drain()
            if not self.then_close:
                await reader.read()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def read_request(reader: asyncio.StreamReader) -> bytes:
    """Read one request with its body."""
    head = await reader.readuntil(b"\r\n\r\n")
    lower = head.lower()
    if b"transfer-encoding: chunked" in lower:
        return head + await reader.readuntil(b"0\r\n\r\n")
    if b"content-length: " in lower:
        length = int(lower.partition(b"content-length: ")[2].partition(b"\r\n")[0])
        return head + await reader.readexactly(length)
    return head


@contextlib.asynccontextmanager
async def talking_to(
    peer: Peer,
    *,
    app_token: str | None = None,
    max_concurrency: int | None = None,
    body_limit: int | None = None,
) -> AsyncIterator[HttpChannel]:
    """Run ``peer`` and give a channel to it."""
    handlers: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        handlers.add(task)
        await peer.serve(reader, writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    channel = HttpChannel(
        "127.0.0.1",
        port,
        app_token=app_token,
        max_concurrency=max_concurrency,
        body_limit=body_limit,
    )
    try:
        yield channel
    finally:
        await channel.close()
        server.close()
        if handlers:
            await asyncio.wait(handlers)


async def answer_to(*answers: bytes, close: bool = True) -> HttpResponse:
    """Return what the channel makes of raw ``answers``."""
    async with talking_to(Peer(*answers, then_close=close)) as channel:
        return await channel.send(GET)


async def test_a_request_goes_out_as_given() -> None:
    """Verb, path, headers, token and length are on the wire; nothing else is added."""
    peer = Peer(OK)
    async with talking_to(peer, app_token="secret") as channel:
        request = HttpRequest("POST", "/a?b=c", (("x-a", "1"),), b"body")
        assert await channel.send(request) == HttpResponse(200, (("content-length", "2"),), b"ok")
    head, _, body = peer.requests[0].partition(b"\r\n\r\n")
    line, *headers = head.split(b"\r\n")
    assert line == b"POST /a?b=c HTTP/1.1"
    assert headers[0].startswith(b"host: 127.0.0.1:")
    assert headers[1:] == [b"x-a: 1", b"dapr-api-token: secret", b"content-length: 4"]
    assert body == b"body"


async def test_a_health_probe_carries_no_token() -> None:
    """`check` leaves the app's token out, also after a call that had it."""
    peer = Peer(OK, OK)
    async with talking_to(peer, app_token="secret") as channel:
        await channel.send(GET)
        await channel.check(GET)
    assert b"secret" in peer.requests[0]
    assert b"secret" not in peer.requests[1]


@pytest.mark.row("FS-16")
@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", b"ok"),
        (b"HTTP/1.1 200 OK\r\n\r\nuntil the end", b"until the end"),
        (b"HTTP/1.0 200 OK\r\n\r\nold", b"old"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, b"ok"),
        (b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" + OK, b"ok"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (b"HTTP/1.1 302 Found\r\nlocation: http://x/\r\ncontent-length: 0\r\n\r\n", b""),
    ],
)
async def test_every_form_of_body_is_read(answer: bytes, expected: bytes) -> None:
    """Chunks, end of stream, interim answers and empty ones; a redirect is not followed."""
    assert (await answer_to(answer)).body == expected


@pytest.mark.row("FS-16", "I-AC", "I-PS", "R-21")
@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"garbage\r\n\r\n", "not HTTP"),
        (b"\x00\xff\x16\x03", "not HTTP"),
        (b"HTTP/1.1 999 Huh\r\ncontent-length: 0\r\n\r\n", "impossible status 999"),
        (b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n", "101"),
        (b"HTTP/1.1 200 OK\r\nx: " + b"y" * 5000 + b"\r\n\r\n", "exceeded 4096 bytes"),
        (b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 2000, "exceeded 4096 bytes"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nok", "closed the connection"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nok", "HTTP|lengths"),
        (
            b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n",
            "HTTP|leng",
        ),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nok", "closed the connection"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 200", "closed the connection"),
        (b"", "closed the connection"),
    ],
)
async def test_what_is_no_answer_is_one_reason(answer: bytes, reason: str) -> None:
    """Unsound answers raise `AppUnreachable` with a reason, once, and never hang."""
    with pytest.raises(AppUnreachable, match=reason) as caught:
        await answer_to(answer)
    assert "\n" not in str(caught.value)


@pytest.mark.row("FS-16")
async def test_a_body_over_the_limit_is_refused() -> None:
    """A collected answer has a size limit."""
    answer = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n" + b"x" * 100
    async with talking_to(Peer(answer), body_limit=99) as channel:
        with pytest.raises(AppUnreachable, match="over 99 bytes"):
            await channel.send(GET)


@pytest.mark.parametrize("more", [b" and more", OK.replace(b"ok", b"no")])
async def test_a_connection_with_more_than_its_answer_is_never_used_again(more: bytes) -> None:
    """Bytes after an answer, or a second one, must not be taken for the next call's."""
    peer = Peer(OK + more, OK)
    async with talking_to(peer) as channel:
        assert (await channel.send(GET)).body == b"ok"
        assert (await channel.send(GET)).body == b"ok"
    assert peer.connections == 2


@pytest.mark.row("FS-16")
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(noise=st.binary(max_size=200), cut=st.integers(0, 60))
def test_no_answer_whatever_its_bytes_breaks_the_channel(noise: bytes, cut: int) -> None:
    """Any bytes give an answer or `AppUnreachable`."""

    async def attempt() -> None:
        with contextlib.suppress(AppUnreachable):
            await answer_to(OK[:cut] + noise)

    asyncio.run(attempt())


async def test_an_app_that_does_not_listen_is_away() -> None:
    """A refused connection says that nothing reached the app."""
    async with talking_to(Peer()) as channel:
        pass
    other = HttpChannel("127.0.0.1", channel._port)
    with pytest.raises(AppAway, match="does not accept connections"):
        await other.send(GET)
    assert not await other.probe()
    await other.close()


async def test_probe_sees_an_app_that_listens() -> None:
    """`probe` needs no request."""
    async with talking_to(Peer()) as channel:
        assert await channel.probe()


@pytest.mark.row("S-15")
async def test_a_line_break_cannot_be_smuggled_into_a_head() -> None:
    """A header or path with a line break is refused before anything is sent."""
    peer = Peer(OK)
    async with talking_to(peer) as channel:
        for bad in (HttpRequest("GET", "/", (("x", "a\r\ny: b"),)), HttpRequest("GET", "/a\r\nb")):
            with pytest.raises(AppUnreachable, match="line break"):
                await channel.send(bad)
    assert not peer.requests


@pytest.mark.row("R-08")
async def test_an_idempotent_call_on_a_dead_connection_is_made_again() -> None:
    """A pooled connection that the app closes instead of answering costs a GET nothing."""

    class Dying(Peer):
        async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.connections += 1
            if self.connections == 1:
                await read_request(reader)
                writer.write(OK)
                await read_request(reader)
            else:
                await read_request(reader)
                writer.write(OK)
            writer.close()

    dying = Dying()
    async with talking_to(dying) as channel:
        assert (await channel.send(GET)).body == b"ok"
        assert (await channel.send(GET)).body == b"ok"
    assert dying.connections == 2


async def test_a_post_on_a_dead_connection_is_not_repeated() -> None:
    """The app may have taken it: only the caller can decide to send it again."""
    async with talking_to(Peer(OK, b"", then_close=True)) as channel:
        await channel.send(GET)
        with pytest.raises(AppUnreachable):
            await channel.send(HttpRequest("POST", "/", (), b"x"))


async def test_concurrency_is_limited_and_probes_pass_it_by() -> None:
    """``max_concurrency`` calls run at one time; a health probe does not wait for them."""
    gate, entered = asyncio.Event(), asyncio.Queue[bytes]()

    class Gated(Peer):
        async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(asyncio.IncompleteReadError):
                while request := await read_request(reader):
                    await entered.put(request)
                    if request.startswith(b"POST"):
                        await gate.wait()
                    writer.write(OK)
            writer.close()

    async with talking_to(Gated(), max_concurrency=1) as channel:
        calls = [asyncio.create_task(channel.send(HttpRequest("POST", "/"))) for _ in range(3)]
        await entered.get()
        assert (await channel.check(GET)).status == 200
        assert (await entered.get()).startswith(b"GET")
        assert entered.empty()
        gate.set()
        assert [call.status for call in await asyncio.gather(*calls)] == [200] * 3


async def test_a_waiter_that_gives_up_leaves_its_slot() -> None:
    """Cancelling somebody who waits for a slot loses none."""
    slots = Slots(1)
    await slots.take()
    waiting = asyncio.create_task(slots.take())
    await asyncio.wait({waiting}, timeout=0)
    waiting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await waiting
    slots.give()
    await slots.take()


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    """Give ``parts`` one by one."""
    for part in parts:
        yield part


async def test_bodies_are_streamed_both_ways() -> None:
    """A request of unknown length goes out in chunks; the answer comes in pieces."""
    answer = (
        b"HTTP/1.1 201 Created\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n"
    )
    peer = Peer(answer, OK)
    async with talking_to(peer) as channel:
        request = StreamedRequest("POST", "/s", (("x", "y"),), chunks(b"one", b"", b"two"))
        response = await channel.stream(request)
        assert response.status == 201
        assert b"".join([chunk async for chunk in response.chunks]) == b"abcd"
        assert (await channel.send(GET)).body == b"ok"
    assert peer.connections == 1
    assert peer.requests[0].endswith(b"\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n")


async def test_a_streamed_request_of_known_length_is_not_chunked() -> None:
    """A length that is known is sent."""
    peer = Peer(OK)
    async with talking_to(peer) as channel:
        response = await channel.stream(StreamedRequest("PUT", "/", (), chunks(b"ab"), 2))
        assert [chunk async for chunk in response.chunks] == [b"ok"]
    assert peer.requests[0].endswith(b"content-length: 2\r\n\r\nab")


async def test_a_streamed_answer_that_breaks_off_raises() -> None:
    """The reader of an answer learns that it is not whole."""
    answer = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf"
    async with talking_to(Peer(answer, then_close=True)) as channel:
        response = await channel.stream(StreamedRequest("GET", "/", (), chunks(), 0))
        with pytest.raises(AppUnreachable, match="closed the connection"):
            _ = [chunk async for chunk in response.chunks]


async def test_an_answer_can_be_given_up() -> None:
    """Closing a streamed answer drops its connection; the next call gets another."""
    answer = b"HTTP/1.1 200 OK\r\ncontent-length: 9999\r\n\r\nhalf"
    peer = Peer(answer)
    async with talking_to(peer) as channel:
        response = await channel.stream(StreamedRequest("GET", "/", (), chunks(), 0))
        await response.close()
        peer.answers.append(OK)
        assert (await channel.send(GET)).status == 200
    assert peer.connections == 2


async def test_a_large_answer_waits_for_its_reader() -> None:
    """A body far beyond the buffer arrives whole."""
    size = 3 * 1024 * 1024
    answer = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size + b"x" * size
    async with talking_to(Peer(answer)) as channel:
        response = await channel.stream(StreamedRequest("GET", "/", (), chunks(), 0))
        assert sum([len(chunk) async for chunk in response.chunks]) == size


async def test_closing_the_channel_ends_calls_under_way() -> None:
    """A call that the app never answers ends with the channel."""
    started = asyncio.Event()

    class Silent(Peer):
        async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_request(reader)
            started.set()
            await reader.read()
            writer.close()

    async with talking_to(Silent()) as channel:
        call = asyncio.create_task(channel.send(HttpRequest("POST", "/")))
        await started.wait()
        await channel.close()
        with pytest.raises(AppUnreachable, match="shutting down"):
            await call
        with pytest.raises(AppAway):
            await channel.send(GET)


class Wire(asyncio.Transport):
    """A transport on which nothing leaves: what comes in is cut where the test says."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Take what is sent."""

    def is_closing(self) -> bool:
        """Stay open."""
        return False

    def abort(self) -> None:
        """Have nothing to cut."""

    def close(self) -> None:
        """Have nothing to close."""


@pytest.mark.parametrize("cut", [1, 2, 3])
async def test_a_head_whose_empty_line_comes_in_two_parts_is_no_long_one(cut: int) -> None:
    """The body that follows in the second part does not count as headers."""
    connection = Connection(4096, None, lambda _: None)
    connection.connection_made(Wire())
    body = b"b" * 8000
    head = b"HTTP/1.1 200 OK\r\ncontent-length: 8000\r\n\r\n"
    call = asyncio.create_task(connection.send(b"", HttpRequest("GET", "/")))
    await asyncio.sleep(0)
    connection.data_received(head[:-cut])
    connection.data_received(head[-cut:] + body)
    async with asyncio.timeout(10):
        assert (await call).body == body
