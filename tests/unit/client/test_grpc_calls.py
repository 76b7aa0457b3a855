"""The circuit breaker, the retry budget and the places of the client, for its calls over gRPC."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from daprflow import Workflow
from daprflow.client import CallNext, Client, ClientCall, ClientResponse, TooManyCalls
from daprflow.client.circuit import CircuitOpen
from daprflow.errors import SidecarUnavailable
from daprflow.transports.base import ConnectionLost
from tests.helpers.grpc_echo import EchoStub
from tests.helpers.grpc_hub import SmallHub, client_of, small_hub
from tests.helpers.timing import eventually

FLOW: Workflow[None, int] = Workflow("app", "flow", type(None), int)
FAILURES = 3


@pytest.fixture
async def hub() -> AsyncIterator[SmallHub]:
    """A gRPC side that comes and goes."""
    async with small_hub() as hub:
        yield hub


@pytest.fixture
async def client(hub: SmallHub) -> AsyncIterator[Client]:
    """A client of it that does not repeat, and gives up after three connections."""
    async with client_of(hub, circuit_failures=FAILURES, max_attempts=1) as client:
        await ask(client)
        yield client


async def ask(client: Client) -> None:
    """Ask for an instance."""
    await client.workflow(FLOW, "w1").status()


async def write(client: Client) -> None:
    """Write bytes into a store."""
    await client.state("s").set("a", b"\x00")


async def connected(client: Client) -> None:
    """Wait for the connection, without a call."""
    channel = await client._caller.way.channels.to_sidecar("", "workflows")
    ready = grpc.ChannelConnectivity.READY
    await eventually(lambda: channel.get_state(try_to_connect=True) is ready)


async def healed(client: Client) -> None:
    """Call until it works; no longer than a breaker may stay open."""
    loop = asyncio.get_running_loop()
    end = loop.time() + 10
    while True:
        try:
            await ask(client)
        except SidecarUnavailable:
            assert loop.time() < end
            await asyncio.sleep(0.01)
        else:
            return


@pytest.mark.parametrize("call", [ask, write])
async def test_calls_over_grpc_fail_at_once_while_it_is_away(
    client: Client, hub: SmallHub, call: Any
) -> None:
    """After three lost connections in a row nothing is sent; the first ones say they were lost."""
    await hub.go()
    for _ in range(FAILURES):
        with pytest.raises(ConnectionLost, match="no sidecar answered over gRPC"):
            await call(client)
    with pytest.raises(CircuitOpen, match=r"away since \d\d:\d\d:\d\d UTC .*tried again in 0\.\d"):
        await call(client)
    state = client.grpc_circuit
    assert (state.state, state.failures, state.opened) == ("open", FAILURES, 1)
    await hub.come()
    await healed(client)
    assert client.grpc_circuit.state == "closed"


async def test_calls_over_http_go_on(client: Client, hub: SmallHub) -> None:
    """The two sides have addresses of their own: one that is away takes the other one nowhere."""
    await hub.go()
    for _ in range(FAILURES):
        with pytest.raises(SidecarUnavailable):
            await ask(client)
    await client.publish("pubsub", "orders", 1)
    assert (client.circuit.state, client.grpc_circuit.state) == ("closed", "open")


async def test_an_answer_closes_the_count_whatever_it_says(client: Client, hub: SmallHub) -> None:
    """A sidecar that answers UNAVAILABLE over a connection is there."""
    for _ in range(2):
        await hub.go()
        for _ in range(FAILURES - 1):
            with pytest.raises(ConnectionLost):
                await ask(client)
        await hub.come()
        hub.busy = True
        await connected(client)
        with pytest.raises(SidecarUnavailable, match="not now"):
            await ask(client)
        assert client.grpc_circuit.failures == 0
        hub.busy = False
        await ask(client)


async def test_stubs_count_and_obey_in_grpcs_own_terms(client: Client, hub: SmallHub) -> None:
    """Unary calls and streams open the breaker; then their error is UNAVAILABLE, unsent."""
    stub = EchoStub(client.grpc_channel("greeter"))
    assert await stub.unary(b"a") == b"a"
    await hub.go()
    with pytest.raises(grpc.aio.AioRpcError):
        await stub.unary(b"a")
    for _ in range(FAILURES - 1):
        with pytest.raises(grpc.aio.AioRpcError):
            _ = [each async for each in stub.down(b"a")]
    await eventually(lambda: client.grpc_circuit.state == "open")
    for call in (stub.unary(b"a"), stub.down(b"a"), stub.both(), stub.up()):
        with pytest.raises(grpc.aio.AioRpcError, match="was not sent") as raised:
            await _read(call)
        assert raised.value.code() is grpc.StatusCode.UNAVAILABLE
    with pytest.raises(CircuitOpen):
        await ask(client)
    await hub.come()
    await healed(client)
    assert await stub.unary(b"a") == b"a"


async def test_an_interceptor_sees_why_a_call_was_not_sent(client: Client, hub: SmallHub) -> None:
    """`ConnectionLost` and `CircuitOpen`, as over HTTP, with an attempt for what was sent."""
    seen: list[tuple[str, int]] = []

    async def watch(call: ClientCall, call_next: CallNext) -> ClientResponse:
        try:
            return await call_next(call)
        except SidecarUnavailable as error:
            seen.append((type(error).__name__, len(call.attempts.made)))
            raise

    client.add_interceptors(watch)
    await hub.go()
    for _ in range(FAILURES + 1):
        with pytest.raises(SidecarUnavailable):
            await ask(client)
    assert seen == [("ConnectionLost", 1)] * FAILURES + [("CircuitOpen", 0)]


async def test_reads_are_sent_again_and_writes_are_not(hub: SmallHub) -> None:
    """A read lasts through a short absence; a write may have happened."""
    attempts: list[int] = []

    async def count(call: ClientCall, call_next: CallNext) -> ClientResponse:
        call.attempts.listen(lambda attempt: attempts.append(attempt.number))
        return await call_next(call)

    async with client_of(hub, circuit_failures=0, max_attempts=-1) as client:
        await ask(client)
        client.add_interceptors(count)
        await hub.go()
        with pytest.raises(ConnectionLost):
            await client.workflow(FLOW, "w1").terminate()
        with pytest.raises(ConnectionLost):
            await write(client)
        assert attempts == [1, 1]
        read = asyncio.create_task(ask(client))
        await eventually(lambda: len(attempts) > 4)
        await hub.come()
        await read
        assert client.retries.made == attempts[-1] - 1
        assert hub.calls == ["get", "get"]


async def test_a_read_ends_in_its_time(hub: SmallHub) -> None:
    """The client's timeout is for all of its attempts."""
    async with client_of(hub, circuit_failures=2, max_attempts=-1) as client:
        await ask(client)
        await hub.go()
        quick = client.with_options(timeout=1.5)
        with pytest.raises(SidecarUnavailable, match=r"within 1\.5 s; the last failure"):
            await ask(quick)


async def test_repetitions_over_grpc_have_the_budget_of_all(hub: SmallHub) -> None:
    """Many reads on connections that break are not as many times seven."""
    reads = 250
    async with client_of(hub, circuit_failures=0) as client:
        await ask(client)
        await hub.go()
        found = await asyncio.gather(*(ask(client) for _ in range(reads)), return_exceptions=True)
        refused = [each for each in found if "retry budget" in str(each)]
        state = client.retries
    assert all(isinstance(each, SidecarUnavailable) for each in found)
    assert refused
    assert state.refused == len(refused)
    assert state.made < reads


async def test_a_result_is_waited_for_while_it_is_away(hub: SmallHub) -> None:
    """``result`` goes on whatever the breaker says, and works within moments of the return."""
    hub.hold.clear()
    async with client_of(hub, circuit_failures=1) as client:
        result = asyncio.create_task(client.workflow(FLOW, "w1").result())
        await eventually(lambda: hub.calls == ["get"])
        await hub.go()
        await eventually(lambda: client.grpc_circuit.opened > 0)
        assert not result.done()
        await hub.come()
        await eventually(lambda: len(hub.calls) > 1)
        result.cancel()


async def test_a_client_that_is_closed_repeats_no_more(hub: SmallHub) -> None:
    """Whoever waits for the gRPC side is told that the client is closed."""
    client = client_of(hub, circuit_failures=1, max_attempts=-1)
    await ask(client)
    await hub.go()
    read = asyncio.create_task(ask(client))
    await eventually(lambda: client.grpc_circuit.state != "closed")
    await client.close()
    with pytest.raises(RuntimeError, match="closed"):
        await read


async def test_calls_of_workflows_have_places(hub: SmallHub) -> None:
    """So many at once, as for any target; who waits for an end takes none."""
    async with client_of(hub, target_calls={"workflows/dapr": 1}, calls_wait=0.05) as client:
        await ask(client)
        hub.hold.clear()
        wait = asyncio.create_task(client.workflow(FLOW, "w1")._calls.wait("w1"))
        await eventually(lambda: len(hub.calls) == 2)
        first = asyncio.create_task(ask(client))
        await eventually(lambda: len(hub.calls) == 3)
        with pytest.raises(TooManyCalls, match="workflow engine 'dapr' has 1 calls under way"):
            await client.workflow(FLOW, "w1").terminate()
        (load,) = client.loads
        assert (load.block, load.target, load.in_flight, load.refused) == (
            "workflows",
            "dapr",
            1,
            1,
        )
        hub.hold.set()
        await asyncio.gather(first, wait)
        assert [each.in_flight for each in client.loads] == [0]


async def test_a_result_waits_for_a_place(hub: SmallHub) -> None:
    """Who waits for an end has time: too many calls are no end."""
    async with client_of(hub, target_calls={"workflows/dapr": 1}, calls_wait=0.02) as client:
        await ask(client)
        hub.hold.clear()
        first = asyncio.create_task(ask(client))
        await eventually(lambda: len(hub.calls) == 2)
        result = asyncio.create_task(client.workflow(FLOW, "w1").result())
        await eventually(lambda: client.loads[0].refused > 1)
        assert not result.done()
        hub.hold.set()
        await first
        await eventually(lambda: len(hub.calls) > 3)
        result.cancel()


async def _read(call: Any) -> None:
    """Take what a stub's call gives, of whatever kind it is."""
    if hasattr(call, "__aiter__"):
        async for _ in call:
            pass
    else:
        await call
