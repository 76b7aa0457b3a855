"""``client.grpc_channel``: channels to apps, through the sidecar."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from daprflow.client import CallNext, Client, ClientCall, ClientResponse, TooManyCalls
from daprflow.errors import SidecarUnavailable
from daprflow.handlers.trace import trace_context
from daprflow.settings import Settings, SettingsError
from daprflow.testing.transport import InProcessTransport
from tests.helpers.certificates import files_of
from tests.helpers.grpc_echo import LONG, Echo, EchoStub, serving
from tests.helpers.own_ports import free_port
from tests.helpers.small_sidecar import SmallSidecar
from tests.helpers.timing import eventually

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
def echo() -> Echo:
    """What stands where the sidecar's gRPC API is."""
    return Echo()


@pytest.fixture
async def port(echo: Echo) -> AsyncIterator[int]:
    """The port of it."""
    async with serving(echo) as port:
        yield port


def connected(port: int, sidecar: SmallSidecar | None = None, **settings: Any) -> Client:
    """Return a client of a sidecar whose gRPC API is on that port."""
    known = Settings(grpc_endpoint=f"127.0.0.1:{port}", **settings)
    return Client(known, transport=InProcessTransport(sidecar or SmallSidecar()))


async def both() -> AsyncIterator[bytes]:
    """Give two requests."""
    yield b"a"
    yield b"b"


async def test_every_kind_of_call_goes_to_the_app(echo: Echo, port: int) -> None:
    """Unary calls and streams either way carry the app's id, the token and the trace."""
    async with connected(port, api_token="secret") as client:
        stub = EchoStub(client.grpc_channel("greeter"))
        with trace_context(TRACE):
            assert await stub.unary(b"ab") == b"ab"
            assert [each async for each in stub.down(b"ab")] == [b"a", b"b"]
            assert await stub.up(both()) == b"ab"
            assert [each async for each in stub.both(both())] == [b"A", b"B"]
    wanted = {"dapr-app-id": "greeter", "dapr-api-token": "secret", "traceparent": TRACE}
    assert [wanted.items() <= each.items() for each in echo.metadata] == [True] * 4
    assert all(each["user-agent"].startswith("daprflow") for each in echo.metadata)


async def test_a_stream_can_be_written_and_read_by_turns(port: int) -> None:
    """A call both ways works piece by piece, too."""
    async with connected(port) as client:
        call = EchoStub(client.grpc_channel("greeter")).both()
        for each in (b"a", b"b"):
            await call.write(each)
            assert await call.read() == each.upper()
        await call.done_writing()
        assert await call.read() is grpc.aio.EOF


async def test_metadata_of_the_caller_is_kept(echo: Echo, port: int) -> None:
    """What a caller sends goes along; only the app's id and the token are the client's."""
    async with connected(port) as client:
        call = EchoStub(client.grpc_channel("greeter")).unary
        mine = (("x-mine", "1"), ("traceparent", "mine"), ("dapr-app-id", "other"))
        with trace_context(TRACE):
            await call(b"a", metadata=mine)
    sent = echo.metadata[0]
    assert (sent["x-mine"], sent["traceparent"]) == ("1", "mine")
    assert sent["dapr-app-id"] == "greeter"


async def test_errors_and_trailers_are_those_of_grpc(port: int) -> None:
    """What an app fails with comes whole, and so do the trailers of a success."""
    async with connected(port) as client:
        call = EchoStub(client.grpc_channel("greeter")).unary
        good = call(b"a")
        await good
        assert dict(await good.trailing_metadata())["seen"] == "yes"
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await call(b"fail")
    error = raised.value
    assert (error.code(), error.details()) == (grpc.StatusCode.NOT_FOUND, "none")
    assert dict(error.trailing_metadata() or ())["why"] == "because"


async def test_the_first_call_waits_for_the_sidecar(port: int) -> None:
    """A client that was not opened waits in its first call, once for all calls."""
    sidecar = SmallSidecar()
    sidecar.healthy = False
    client = connected(port, sidecar)
    call = EchoStub(client.grpc_channel("greeter")).unary
    calls = [asyncio.ensure_future(call(b"a")) for _ in range(3)]
    await eventually(lambda: sidecar.health_checks > 1)
    assert not any(each.done() for each in calls)
    sidecar.healthy = True
    assert await asyncio.gather(*calls) == [b"a"] * 3
    await client.close()


async def test_a_sidecar_that_does_not_come_is_unavailable(port: int) -> None:
    """When none is ready in time the call fails as gRPC's calls do, within its own time."""
    sidecar = SmallSidecar()
    sidecar.healthy = False
    client = connected(port, sidecar, health_timeout=0.2)
    stub = EchoStub(client.grpc_channel("greeter"))
    with pytest.raises(grpc.aio.AioRpcError, match="no sidecar became ready within") as raised:
        await stub.unary(b"a")
    assert raised.value.code() is grpc.StatusCode.UNAVAILABLE
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        _ = [each async for each in stub.down(b"a", timeout=0.02)]
    assert raised.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    await client.close()


async def test_a_call_has_its_own_time(echo: Echo, port: int) -> None:
    """A call's ``timeout`` holds, the client's does not: the channel is gRPC's."""
    echo.hold.clear()
    async with connected(port) as client:
        call = EchoStub(client.with_options(timeout=0.01).grpc_channel("greeter")).unary
        long = asyncio.ensure_future(call(b"a"))
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await call(b"b", timeout=0.05)
        assert not long.done()
        echo.hold.set()
        assert await long == b"a"
    assert raised.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


async def test_a_channel_is_kept_and_closed_with_the_client(port: int) -> None:
    """The same app has the same channel until somebody closes it, or the client."""
    client = connected(port)
    first = client.grpc_channel("a")
    assert client.grpc_channel("a") is first
    assert client.grpc_channel("b") is not first
    await first.close()
    again = client.grpc_channel("a")
    assert await EchoStub(again).unary(b"a") == b"a"
    await client.close()
    assert again.get_state() is grpc.ChannelConnectivity.SHUTDOWN
    with pytest.raises(RuntimeError, match="the client is closed"):
        client.grpc_channel("a")
    async with client:
        assert await EchoStub(client.grpc_channel("a")).unary(b"a") == b"a"


async def test_closing_ends_calls_under_way(echo: Echo, port: int) -> None:
    """A call that is under way when the client is closed is cancelled."""
    echo.hold.clear()
    async with connected(port) as client:
        call = EchoStub(client.grpc_channel("greeter")).unary(b"a")
        await eventually(lambda: len(echo.metadata) == 1)
    assert await call.code() is grpc.StatusCode.CANCELLED


@pytest.mark.parametrize(("allowed", "code"), [(0, "RESOURCE_EXHAUSTED"), (6 * 2**20, "OK")])
async def test_messages_have_a_limit(echo: Echo, port: int, allowed: int, code: str) -> None:
    """A message of more than four MiB is refused unless the settings allow more."""
    echo.long = 5 * 2**20
    async with connected(port, grpc_max_message_size=allowed) as client:
        call = EchoStub(client.grpc_channel("greeter")).unary(LONG)
        assert (await call.code()).name == code


async def test_an_address_that_is_none_is_refused() -> None:
    """The error names the variable and the forms that an address may have."""
    client = Client(Settings(grpc_endpoint="ftp://x"), transport=InProcessTransport(SmallSidecar()))
    with pytest.raises(SettingsError, match=r"DAPR_GRPC_ENDPOINT.*no scheme 'ftp'.*host:port"):
        client.grpc_channel("a")


async def test_an_app_id_is_needed() -> None:
    """A channel to nobody is refused."""
    with pytest.raises(ValueError, match="the app id is empty"):
        Client().grpc_channel("")


def test_a_channel_belongs_to_one_loop(port: int) -> None:
    """A client with channels in one event loop refuses another one while they are open."""
    client = connected(port)

    async def open_one() -> None:
        client.grpc_channel("a")

    with asyncio.Runner() as first:
        first.run(open_one())
        with asyncio.Runner() as second, pytest.raises(RuntimeError, match="one client per loop"):
            second.run(open_one())
        first.run(client.close())


def test_a_channel_needs_a_loop() -> None:
    """A plain function, which runs in a thread, is told to be an ``async def``."""
    client = Client(Settings(), transport=InProcessTransport(SmallSidecar()))
    with pytest.raises(RuntimeError, match="ask for it in an 'async def'"):
        client.grpc_channel("a")


QUIET = """
import asyncio, os, sys
from daprflow.client import Client
from daprflow.settings import Settings
async def main():
    client = Client(Settings())
    client.subscribe("pubsub", "orders", int)
    assert not {"grpc", "dapr", "google.protobuf"} & set(sys.modules), "before it is needed"
    client.grpc_channel("a")
    assert "grpc" in sys.modules
    print(os.environ["GRPC_VERBOSITY"])
    await client.close()
asyncio.run(main())
"""


@pytest.mark.parametrize(("given", "found"), [(None, "ERROR"), ("DEBUG", "DEBUG")])
def test_grpc_is_loaded_late_and_quiet(given: str | None, found: str) -> None:
    """The first channel imports the library, which is told to be quiet unless it was told."""
    env = {name: value for name, value in os.environ.items() if name != "GRPC_VERBOSITY"}
    if given is not None:
        env["GRPC_VERBOSITY"] = given
    run = subprocess.run(
        [sys.executable, "-c", QUIET], env=env, capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stdout) == (0, f"{found}\n"), run.stderr


CALL = """
import asyncio, sys
from daprflow.client import Client
from daprflow.settings import Settings
async def main():
    settings = Settings(grpc_endpoint=sys.argv[1], health_timeout=0, http_endpoint=sys.argv[2])
    client = Client(settings)
    call = client.grpc_channel("a").unary_unary("/test.Echo/Unary")
    print(await call(b"hello", timeout=20, wait_for_ready=True))
    await client.close()
asyncio.run(main())
"""


@pytest.mark.parametrize("form", ["https://localhost:{}", "localhost:{}?tls=true"])
async def test_tls_is_used_when_it_is_asked_for(echo: Echo, form: str, tmp_path: Path) -> None:
    """Both forms of Dapr's SDKs encrypt, and verify with the roots that gRPC is given."""
    files = files_of(tmp_path, "good")
    env = {**os.environ, "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": str(files.ca)}
    async with serving(echo, files.pair.read_bytes()) as port:
        address, http = form.format(port), "http://127.0.0.1:1"
        run = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", CALL, address, http), env=env, stdout=subprocess.PIPE
        )
        out, _ = await run.communicate()
    assert (run.returncode, out) == (0, b"b'hello'\n")


class Watching:
    """An interceptor that notes the calls it sees, and sends a header of its own with each."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, str, str, int, str]] = []

    async def __call__(self, call: ClientCall, call_next: CallNext) -> ClientResponse:
        """Note a call with its answer."""
        answer = await call_next(call.with_headers(("x-own", "1"), ("dapr-app-id", "other")))
        made = (call.block, call.operation, call.target, call.name, answer.status, answer.code)
        self.seen.append(made)
        return answer


async def test_a_stubs_calls_pass_the_interceptors(echo: Echo, port: int) -> None:
    """A call with one request and one answer is a call of the client; errors stay gRPC's own."""
    watching = Watching()
    async with connected(port, api_token="secret") as client:
        client.add_interceptors(watching)
        call = EchoStub(client.grpc_channel("greeter")).unary
        good = call(b"a", metadata=(("x-own", "0"), ("x-mine", "1")))
        assert await good == b"a"
        assert dict(await good.trailing_metadata())["seen"] == "yes"
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await call(b"fail")
    assert dict(raised.value.trailing_metadata() or ())["why"] == "because"
    sent = echo.metadata[0]
    assert (sent["x-own"], sent["x-mine"], sent["dapr-app-id"]) == ("1", "1", "greeter")
    assert watching.seen == [
        ("invoke", "call", "greeter", "test.Echo/Unary", 200, ""),
        ("invoke", "call", "greeter", "test.Echo/Unary", 404, "NOT_FOUND"),
    ]


async def test_an_interceptor_may_refuse_or_answer_a_stubs_call(echo: Echo, port: int) -> None:
    """What it raises is raised, and what it answers with is the answer; nothing is sent."""

    async def refusing(call: ClientCall, call_next: CallNext) -> ClientResponse:
        raise PermissionError(call.name)

    async def answering(call: ClientCall, call_next: CallNext) -> ClientResponse:
        return ClientResponse(200, native=b"kept")

    async with connected(port) as client:
        call = EchoStub(client.grpc_channel("greeter")).unary
        client.add_interceptors(refusing)
        with pytest.raises(PermissionError, match=r"test\.Echo/Unary"):
            await call(b"a")
        client.add_interceptors(answering)
        assert await call(b"a") == b"kept"
    assert echo.metadata == []


async def test_a_cancelled_call_is_cancelled_below_interceptors(echo: Echo, port: int) -> None:
    """The app's server sees the end of a call that nobody waits for, and deadlines hold."""
    watching = Watching()
    echo.hold.clear()
    async with connected(port) as client:
        client.add_interceptors(watching)
        call = EchoStub(client.grpc_channel("greeter")).unary
        running = call(b"a")
        await eventually(lambda: len(echo.metadata) == 1)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await call(b"b", timeout=0.05)
        echo.hold.set()
    assert raised.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert [status for *_, status, _ in watching.seen] == [504]


async def test_a_sidecar_that_is_away_is_no_answer() -> None:
    """An interceptor sees ``SidecarUnavailable``, the caller gRPC's own error."""
    lost: list[str] = []

    async def noting(call: ClientCall, call_next: CallNext) -> ClientResponse:
        try:
            return await call_next(call)
        except SidecarUnavailable:
            lost.append(call.target)
            raise

    async with connected(free_port(), health_timeout=0) as client:
        client.add_interceptors(noting)
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await EchoStub(client.grpc_channel("greeter")).unary(b"a")
    assert raised.value.code() is grpc.StatusCode.UNAVAILABLE
    assert lost == ["greeter"]


async def test_a_stubs_calls_have_places_among_those_of_their_app(echo: Echo, port: int) -> None:
    """More than an app may have under way wait for a place, within their own time."""
    echo.hold.clear()
    async with connected(port, calls_per_target=1, calls_wait=20.0) as client:
        call = EchoStub(client.grpc_channel("greeter")).unary
        other = EchoStub(client.grpc_channel("other")).unary
        first = asyncio.ensure_future(call(b"a"))
        await eventually(lambda: len(echo.metadata) == 1)
        with pytest.raises(TooManyCalls, match="app 'greeter' has 1 calls under way"):
            await call(b"b", timeout=0.05)
        second = asyncio.ensure_future(call(b"c"))
        third = asyncio.ensure_future(other(b"d"))
        await eventually(lambda: len(echo.metadata) == 2)
        assert echo.metadata[1]["dapr-app-id"] == "other"
        (load,) = [each for each in client.loads if each.target == "greeter"]
        assert (load.block, load.in_flight, load.waiting, load.refused) == ("invoke", 1, 1, 1)
        echo.hold.set()
        assert [await each for each in (first, second, third)] == [b"a", b"c", b"d"]
        assert not [each for each in client.loads if each.in_flight]
