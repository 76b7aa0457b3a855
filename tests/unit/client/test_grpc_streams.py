"""Streams over gRPC before the client's interceptors: stubs' streams, and subscriptions."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from daprflow.addresses import Topic
from daprflow.client import (
    CallNext,
    Client,
    ClientCall,
    ClientResponse,
    OpenStream,
    StreamEnd,
    TooManyCalls,
    stubs,
)
from tests.helpers.event_streams import streaming
from tests.helpers.grpc_echo import EchoStub
from tests.helpers.grpc_hub import SmallHub, client_of, small_hub
from tests.helpers.timing import eventually

NUMBERS = Topic("pubsub", "orders", int)


class Watching:
    """Notes the calls that pass, their answers, and the ends of their streams."""

    def __init__(self) -> None:
        self.calls: list[ClientCall] = []
        self.statuses: list[int | str] = []
        self.ends: list[StreamEnd] = []

    async def __call__(self, call: ClientCall, call_next: CallNext) -> ClientResponse:
        """Note a call."""
        self.calls.append(call)
        try:
            answer = await call_next(call.with_headers(("x-own", "1")))
        except BaseException as error:
            self.statuses.append(type(error).__name__)
            raise
        self.statuses.append(answer.status)
        if answer.stream is not None:
            answer.stream.listen(self.ends.append)
        return answer

    @property
    def made(self) -> list[tuple[str, str, str, str, str]]:
        """What was called."""
        return [(c.block, c.operation, c.target, c.name, c.protocol) for c in self.calls]


@pytest.fixture
def watching() -> Watching:
    """What watches the calls of the client."""
    return Watching()


@pytest.fixture
async def hub() -> AsyncIterator[SmallHub]:
    """A gRPC side."""
    async with small_hub() as hub:
        yield hub


@pytest.fixture
async def client(hub: SmallHub, watching: Watching) -> AsyncIterator[Client]:
    """A client of it that is watched."""
    async with client_of(hub) as client:
        client.add_interceptors(watching)
        yield client


async def both() -> AsyncIterator[bytes]:
    """Give two requests."""
    yield b"a"
    yield b"b"


async def test_streams_of_stubs_pass_the_interceptors(
    client: Client, hub: SmallHub, watching: Watching
) -> None:
    """Each is one call of the app, whose headers go along, and whose end is told."""
    stub = EchoStub(client.grpc_channel("greeter"))
    assert [each async for each in stub.down(b"ab")] == [b"a", b"b"]
    assert await stub.up(both()) == b"ab"
    assert [each async for each in stub.both(both())] == [b"A", b"B"]
    await eventually(lambda: len(watching.ends) == 3)
    assert watching.made == [
        ("invoke", "stream", "greeter", f"test.Echo/{name}", "grpc")
        for name in ("Down", "Up", "Both")
    ]
    assert watching.statuses == [200] * 3
    assert {(each.status, each.code) for each in watching.ends} == {(200, "")}
    assert [each["x-own"] for each in hub.echo.metadata] == ["1"] * 3


async def test_a_stream_is_used_while_its_interceptors_wait(
    client: Client, watching: Watching
) -> None:
    """One that has not begun to answer is written to; its answer begins, then it ends."""
    call = EchoStub(client.grpc_channel("greeter")).both()
    await call.write(b"a")
    assert await call.read() == b"A"
    await eventually(lambda: watching.statuses == [200])
    assert watching.ends == []
    call.cancel()
    await eventually(lambda: len(watching.ends) == 1)
    assert watching.ends[0].code == "CANCELLED"


async def test_a_stream_that_is_refused_has_its_status(client: Client, watching: Watching) -> None:
    """An app that has no such method is an answer; the caller's error is gRPC's own."""
    call: Any = client.grpc_channel("greeter").unary_stream("/test.Echo/None")
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        _ = [each async for each in call(b"a")]
    assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED
    await eventually(lambda: watching.statuses == [501])


async def test_an_interceptor_may_refuse_a_stream(client: Client, hub: SmallHub) -> None:
    """What it raises before it goes on is raised to who reads; nothing is sent."""

    async def refusing(call: ClientCall, call_next: CallNext) -> ClientResponse:
        raise PermissionError(call.name)

    client.add_interceptors(refusing)
    with pytest.raises(PermissionError, match=r"test\.Echo/Down"):
        _ = [each async for each in EchoStub(client.grpc_channel("greeter")).down(b"ab")]
    assert hub.echo.metadata == []


async def test_an_interceptor_that_fails_ends_the_stream(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    """Once it is open it is too late to raise: it is cancelled, and the log says why."""

    async def failing(call: ClientCall, call_next: CallNext) -> ClientResponse:
        await call_next(call)
        raise PermissionError(call.name)

    client.add_interceptors(failing)
    call = EchoStub(client.grpc_channel("greeter")).both()
    await call.write(b"a")
    assert await call.code() is grpc.StatusCode.CANCELLED
    assert "an interceptor failed, so that stream '/test.Echo/Both' ends" in caplog.text


async def test_closing_the_client_ends_its_streams(hub: SmallHub, watching: Watching) -> None:
    """Nothing is left that waits for them."""
    async with client_of(hub) as client:
        client.add_interceptors(watching)
        call = EchoStub(client.grpc_channel("greeter")).both()
        await call.write(b"a")
        assert await call.read() == b"A"
    assert [each.code for each in watching.ends] == ["CANCELLED"]


async def test_streams_count_while_they_are_opened(
    hub: SmallHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stream has a place until its answer begins, and none while it is open."""
    async with client_of(hub, target_calls={"invoke/greeter": 1}, calls_wait=0.02) as client:
        stub = EchoStub(client.grpc_channel("greeter"))
        calls = []
        for _ in range(3):
            call = stub.both()
            await call.write(b"a")
            assert await call.read() == b"A"
            await eventually(lambda: client.loads[0].in_flight == 0)
            calls.append(call)
        monkeypatch.setattr(stubs, "OPENING", 60.0)
        first = stub.both()
        await eventually(lambda: len(hub.echo.metadata) == 4)
        assert client.loads[0].in_flight == 1
        with pytest.raises(TooManyCalls, match="app 'greeter' has 1 calls under way"):
            await stub.unary(b"a")
        first.cancel()
        await eventually(lambda: client.loads[0].in_flight == 0)
        monkeypatch.setattr(stubs, "OPENING", 0.05)
        silent = stub.both()
        await eventually(lambda: len(hub.echo.metadata) == 5)
        await eventually(lambda: client.loads[0].in_flight == 0)  # it is silent, and no opening
        assert await stub.unary(b"a") == b"a"
        for call in (silent, *calls):
            call.cancel()


async def test_a_subscription_passes_as_its_opening(watching: Watching) -> None:
    """It is one call for each stream: opened, then over when the stream ends or breaks."""
    async with streaming(api_token="secret") as running:
        running.client.add_interceptors(watching)
        async with running.client.subscribe(NUMBERS) as messages:
            first = await running.sidecar.stream()
            first.send("a", b"1")
            await (await anext(messages)).ack()
            assert (first.metadata["x-own"], first.metadata["dapr-api-token"]) == ("1", "secret")
            assert watching.statuses == [200]
            first.end(grpc.StatusCode.UNKNOWN, "broken")
            reading = asyncio.ensure_future(anext(messages))
            second = await running.sidecar.stream(1)
            second.send("b", b"2")
            await (await reading).ack()
            assert [each.code for each in watching.ends] == ["UNKNOWN"]
        await eventually(lambda: len(watching.ends) == 2)
    assert watching.made == [("pubsub", "subscribe", "pubsub", "orders", "grpc")] * 2


async def test_a_listener_that_comes_late_is_told() -> None:
    """Of an end that was before; and one end is all."""
    stream, seen = OpenStream(), list[StreamEnd]()
    stream.listen(seen.append)
    stream.finish(499, "CANCELLED")
    stream.finish()
    stream.listen(seen.append)
    assert [(each.status, each.code) for each in seen] == [(499, "CANCELLED")] * 2
