"""The channel to an app that speaks gRPC."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import grpc
import pytest

from daprflow.protocol import messages
from daprflow.sidecar.channel.base import AppAway, AppUnreachable
from daprflow.sidecar.channel.grpc import CALLBACKS, GrpcChannel
from daprflow.sidecar.channel.rpc import RpcFailed
from daprflow.sidecar.channel.tls_relay import TlsRelay
from tests.helpers.certificates import self_signed
from tests.helpers.grpc_app import GrpcTestApp, always, grpc_app, refusing
from tests.helpers.own_ports import free_port

INVOKE = f"{CALLBACKS}OnInvoke"
REQUEST = messages.InvokeRequest(method="m")
DONE = messages.InvokeResponse(content_type="x/y")


@contextlib.asynccontextmanager
async def channel_to(app: GrpcTestApp, **settings: Any) -> AsyncIterator[GrpcChannel]:
    """Open a channel to an app."""
    channel = GrpcChannel("127.0.0.1", app.port, **settings)
    try:
        yield channel
    finally:
        await channel.close()


def credentials() -> grpc.ServerCredentials:
    """Return a self-signed pair."""
    with TemporaryDirectory() as folder:
        pair = self_signed(Path(folder)).read_bytes()
    return grpc.ssl_server_credentials([(pair, pair)])


@contextlib.asynccontextmanager
async def channel_with_tls(app: GrpcTestApp) -> AsyncIterator[GrpcChannel]:
    """Start an app with TLS and open a channel to it."""
    await app.start(credentials())
    async with channel_to(app, tls=True) as channel:
        yield channel
    await app.stop()


async def ask(channel: GrpcChannel) -> messages.InvokeResponse:
    """Make a call."""
    return await channel.call(INVOKE, REQUEST, messages.InvokeResponse)


async def test_a_call_brings_the_answer_and_its_metadata() -> None:
    """The message, what came before and what came after it."""

    async def answer(request: messages.InvokeRequest, context: Any) -> messages.InvokeResponse:
        await context.send_initial_metadata((("x-head", "1"), ("x-bin", b"\x00")))
        context.set_trailing_metadata((("x-trail", "2"),))
        return messages.InvokeResponse(content_type=request.method)

    async with grpc_app(OnInvoke=answer) as app, channel_to(app, app_token="t") as channel:
        sent = (("x-mine", "1"),)
        found = await channel.exchange(INVOKE, REQUEST, messages.InvokeResponse, sent)
    assert found.message.content_type == "m"
    assert found.headers == (("x-head", "1"), ("x-bin", b"\x00"))
    assert found.trailers == (("x-trail", "2"),)
    metadata = app.calls[0].metadata
    assert metadata["dapr-api-token"] == ["t"]
    assert metadata["x-mine"] == ["1"]


async def test_an_error_of_the_app_keeps_its_code_text_and_trailers() -> None:
    """What the app says is not taken for a broken connection, UNAVAILABLE neither."""

    async def answer(_request: object, context: Any) -> messages.InvokeResponse:
        await context.abort(grpc.StatusCode.UNAVAILABLE, "busy", (("x-trail", "3"),))
        raise AssertionError

    async with grpc_app(OnInvoke=answer) as app, channel_to(app) as channel:
        with pytest.raises(RpcFailed, match="gRPC status 14: busy") as failed:
            await ask(channel)
    assert (failed.value.code, failed.value.text) == (14, "busy")
    assert ("x-trail", "3") in failed.value.trailers


@pytest.mark.row("R-08")
async def test_an_app_that_does_not_listen_is_away() -> None:
    """The call fails at once, and none is lost: nothing of it was sent."""
    channel = GrpcChannel("127.0.0.1", free_port())
    with pytest.raises(AppAway, match=r"does not accept connections on 127\.0\.0\.1:"):
        await ask(channel)
    assert not await channel.probe()
    await channel.close()


async def test_an_app_that_comes_back_is_reached_at_once() -> None:
    """Neither a failed attempt nor a lost connection makes the next call wait."""
    async with grpc_app(OnInvoke=always(DONE)) as app, channel_to(app) as channel:
        for _ in range(3):
            assert (await ask(channel)).content_type == "x/y"
            await app.stop()
            for _ in range(3):
                with pytest.raises(AppUnreachable):
                    await ask(channel)
            await app.start()
            assert await channel.probe()
            assert (await ask(channel)).content_type == "x/y"


async def test_calls_at_one_time_share_the_attempt_to_connect() -> None:
    """Many first calls open one connection and all get their answers."""
    async with grpc_app(OnInvoke=always(DONE)) as app, channel_to(app) as channel:
        answers = await asyncio.gather(*(ask(channel) for _ in range(50)))
    assert len(answers) == len(app.calls) == 50


async def test_a_connection_that_breaks_during_a_call_is_no_answer() -> None:
    """What the app did with the call is not known, so it is not away."""
    begun = asyncio.Event()

    async def answer(_request: object, _context: Any) -> messages.InvokeResponse:
        begun.set()
        await asyncio.Event().wait()
        raise AssertionError

    async with grpc_app(OnInvoke=answer) as app, channel_to(app) as channel:
        call = asyncio.create_task(ask(channel))
        await begun.wait()
        await app.stop()
        with pytest.raises(AppUnreachable) as failed:
            await call
    assert not isinstance(failed.value, AppAway)


async def test_closing_ends_calls_under_way() -> None:
    """They fail as calls that got no answer; they are not cancelled."""
    begun = asyncio.Event()

    async def answer(_request: object, _context: Any) -> messages.InvokeResponse:
        begun.set()
        await asyncio.Event().wait()
        raise AssertionError

    async with grpc_app(OnInvoke=answer) as app:
        channel = GrpcChannel("127.0.0.1", app.port)
        call = asyncio.create_task(ask(channel))
        await begun.wait()
        await channel.close()
        with pytest.raises(AppUnreachable, match="shutting down"):
            await call
        with pytest.raises(AppAway, match="shutting down"):
            await ask(channel)


async def test_closing_ends_an_attempt_to_connect() -> None:
    """Whoever waits for something that accepts and says nothing is told, and does not hang."""
    accepted, over = asyncio.Event(), asyncio.Event()
    served: set[asyncio.Task[None] | None] = set()

    async def accept(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.add(asyncio.current_task())
        accepted.set()
        await over.wait()
        writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    channel = GrpcChannel("127.0.0.1", server.sockets[0].getsockname()[1])
    calls = [asyncio.create_task(ask(channel)) for _ in range(3)]
    await accepted.wait()
    await channel.close()
    for call in calls:
        with pytest.raises(AppAway, match="shutting down"):
            await call
    over.set()
    await asyncio.gather(*(task for task in served if task is not None))
    server.close()
    await server.wait_closed()


@pytest.mark.row("R-25")
async def test_no_more_calls_than_allowed_are_in_the_app() -> None:
    """Health checks pass the limit, and carry no token."""
    inside, most = 0, 0
    full, release = asyncio.Event(), asyncio.Event()

    async def answer(_request: object, _context: Any) -> messages.InvokeResponse:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        if inside == 2:
            full.set()
        await release.wait()
        inside -= 1
        return DONE

    async with (
        grpc_app(OnInvoke=answer, HealthCheck=always(messages.Empty())) as app,
        channel_to(app, max_concurrency=2, app_token="t") as channel,
    ):
        calls = [asyncio.create_task(ask(channel)) for _ in range(6)]
        await full.wait()
        await channel.check()
        assert "dapr-api-token" not in app.calls[-1].metadata
        release.set()
        await asyncio.gather(*calls)
    assert most == 2


async def test_what_speaks_http_1_is_told_from_what_is_not_there() -> None:
    """Whoever answers in another protocol is named by its address, and no call reaches it."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    channel = GrpcChannel("127.0.0.1", port)
    with pytest.raises(AppAway, match=f"127.0.0.1:{port}"):
        await ask(channel)
    await channel.close()
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize("code", [grpc.StatusCode.CANCELLED, grpc.StatusCode.UNKNOWN])
async def test_any_code_of_the_app_is_an_answer(code: grpc.StatusCode) -> None:
    """An app may say CANCELLED; that cancels nothing here."""
    async with grpc_app(OnInvoke=refusing(code)) as app, channel_to(app) as channel:
        with pytest.raises(RpcFailed) as failed:
            await ask(channel)
    assert failed.value.code == code.value[0]


async def test_messages_have_a_limit_both_ways() -> None:
    """A larger one is refused, with the code that says so; without a limit it passes."""
    large = messages.InvokeResponse(content_type="x" * 3000)
    async with grpc_app(OnInvoke=always(large)) as app:
        async with channel_to(app, message_limit=2000) as channel:
            with pytest.raises(RpcFailed) as failed:
                await ask(channel)
            assert failed.value.code == grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]
        async with channel_to(app, message_limit=-5) as channel:
            assert (await ask(channel)).content_type == large.content_type


@pytest.mark.row("S-34")
async def test_a_certificate_is_not_verified() -> None:
    """An app with TLS is reached whoever signed it, also when it was started anew."""
    app = GrpcTestApp({INVOKE: always(DONE)})
    async with channel_with_tls(app) as channel:
        assert await channel.probe()
        assert (await ask(channel)).content_type == "x/y"
        await app.stop()
        assert not await channel.probe()
        with pytest.raises(AppUnreachable):
            await ask(channel)
        await app.start(credentials())
        assert (await ask(channel)).content_type == "x/y"


@pytest.mark.row("S-08")
def test_the_way_to_tls_is_for_this_user_alone() -> None:
    """The socket in between lies in a folder that nobody else can enter, and goes with it."""

    async def come_and_go() -> tuple[Path, int]:
        relay = TlsRelay("127.0.0.1", 1)
        folder = Path((await relay.open()).removeprefix("unix:")).parent
        mode = await asyncio.to_thread(folder.stat)
        await relay.close()
        return folder, mode.st_mode & 0o077

    folder, others = asyncio.run(come_and_go())
    assert others == 0
    assert not folder.exists()


async def test_messages_of_any_size_pass_tls() -> None:
    """What stands in between keeps the order and loses nothing."""

    async def answer(request: messages.InvokeRequest, _context: Any) -> messages.InvokeResponse:
        return messages.InvokeResponse(data=request.data)

    app = GrpcTestApp({INVOKE: answer})
    data = bytes(range(256)) * 8000
    request = messages.InvokeRequest(data=messages.AnyMessage(value=data))
    async with channel_with_tls(app) as channel:
        calls = (channel.call(INVOKE, request, messages.InvokeResponse) for _ in range(4))
        answers = await asyncio.gather(*calls)
    assert [answer.data.value == data for answer in answers] == [True] * 4
