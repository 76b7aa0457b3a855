"""What clients do that they should not, and what is left of it: nothing."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from daprflow.protocol import messages as m
from daprflow.sidecar.components.base import StateWrite
from daprflow.sidecar.grpc_api.serving import abort
from daprflow.sidecar.grpc_api.status import internal
from daprflow.sidecar.options import RuntimeOptions
from tests.helpers.grpc_calls import nothing_left, refusal
from tests.helpers.grpc_sidecar import GrpcSidecar, grpc_sidecar
from tests.helpers.sidecar import Components
from tests.helpers.timing import eventually

COMPONENTS: Components = {
    "store": ("state.in-memory", {}),
    "config": ("configuration.daprflow", {}),
}
LIMIT = 100_000


@pytest.fixture
async def sidecar(tmp_path: Path) -> AsyncIterator[GrpcSidecar]:
    """A sidecar that takes small messages alone."""
    options = RuntimeOptions("app1", max_body_size=LIMIT)
    async with grpc_sidecar(tmp_path, COMPONENTS, options=options) as running:
        yield running


def saving(*items: m.StateItem) -> m.SaveStateRequest:
    """Return a request that saves items."""
    return m.SaveStateRequest(store_name="store", states=items)


def raw(sidecar: GrpcSidecar, method: str, *, streams: bool = False) -> Any:
    """Return a caller that sends bytes as they are."""
    make = sidecar.channel.stream_stream if streams else sidecar.channel.unary_unary
    return make(f"/dapr.proto.runtime.v1.Dapr/{method}")


@pytest.mark.row("FS-20")
@pytest.mark.parametrize(
    ("sent", "text"),
    [
        (b"\xff\xff\xff", "proto: cannot parse invalid wire-format data"),
        (b"\x0a\x05ab", "proto: cannot parse invalid wire-format data"),
        (b"\x0a\x02\xff\xfe", "string field contains invalid UTF-8"),
    ],
)
@pytest.mark.parametrize("method", ["GetState", "SubscribeConfiguration"])
async def test_garbage(sidecar: GrpcSidecar, method: str, sent: bytes, text: str) -> None:
    """What is no message is refused in the words of the real runtime's library."""
    async with nothing_left():
        found = await refusal(raw(sidecar, method)(sent))
        assert found.code == "INTERNAL"
        assert found.text == f"grpc: error unmarshalling request: {text}"


@pytest.mark.row("FS-20")
async def test_garbage_in_a_stream(sidecar: GrpcSidecar) -> None:
    """A broken message ends the stream that it comes in."""
    async with nothing_left():
        call = raw(sidecar, "EncryptAlpha1", streams=True)()
        await call.write(b"\xff")
        found = await refusal(call.read())
        text = "proto: cannot parse invalid wire-format data"
        assert found.code == "INTERNAL"
        assert found.text == f"grpc: failed to unmarshal the received message: {text}"


@pytest.mark.row("FS-20")
async def test_messages_that_are_too_large(sidecar: GrpcSidecar) -> None:
    """Neither a request nor an answer may be larger than the limit; what fits gets through."""
    half = b"x" * (LIMIT // 2)
    for key in ("a", "b"):
        await sidecar.stub.SaveState(saving(m.StateItem(key=key, value=half)))
    large = await refusal(sidecar.stub.SaveState(saving(m.StateItem(key="c", value=half * 2))))
    assert large.code == "RESOURCE_EXHAUSTED"
    assert "larger than max" in large.text
    request = m.GetBulkStateRequest(store_name="store", keys=["a", "b"])
    answer = await refusal(sidecar.stub.GetBulkState(request))
    assert answer.code == "RESOURCE_EXHAUSTED"
    assert (await sidecar.stub.GetState(m.GetStateRequest(store_name="store", key="a"))).data


@pytest.mark.row("FS-20")
async def test_metadata_that_are_too_large(tmp_path: Path) -> None:
    """A call with more metadata than the limit is refused, and others are not concerned."""
    options = RuntimeOptions("app1", read_buffer_size=16)
    asked = m.GetStateRequest(store_name="store", key="a")
    async with grpc_sidecar(tmp_path, COMPONENTS, options=options) as sidecar:
        found = await refusal(sidecar.stub.GetState(asked, metadata=[("x", "y" * 17_000)]))
        assert found.code == "RESOURCE_EXHAUSTED"
        assert await sidecar.stub.GetState(asked, metadata=[("x", "y" * 8_000)])


def head(path: bytes) -> bytes:
    """Return the frames that begin a connection, and a call of a method of any name on it."""
    fields = {
        b":method": b"POST",
        b":scheme": b"http",
        b":path": path,
        b":authority": b"localhost",
        b"content-type": b"application/grpc",
        b"te": b"trailers",
    }
    block = b"".join(
        b"\0%c%s%c%s" % (len(name), name, len(value), value) for name, value in fields.items()
    )
    headers = b"\0\0%c\1\5\0\0\0\1" % len(block)
    return b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0" + headers + block


@pytest.mark.row("FS-20")
async def test_a_method_whose_name_is_no_text(
    sidecar: GrpcSidecar, caplog: pytest.LogCaptureFixture
) -> None:
    """It breaks the library's server; another one takes its place on the same port, each time."""
    asked = m.GetStateRequest(store_name="store", key="a")
    for times in (1, 2):
        _, writer = await asyncio.open_connection("127.0.0.1", sidecar.port)
        writer.write(head(b"/dapr.proto.runtime.v1.Dapr/Get\xa9"))
        await eventually(lambda: caplog.text.count("is started anew") == times)  # noqa: B023 - now
        async with grpc.aio.insecure_channel(f"127.0.0.1:{sidecar.port}") as channel:
            await m.DaprStub(channel).GetState(asked)
        writer.close()


class Left:
    """A call's context at the moment when its client is gone and the library does not know yet."""

    async def abort(self, *_status: object) -> None:
        """Fail as the library does."""
        raise grpc.aio.InternalError("execute_batch")


@pytest.mark.row("FS-20")
async def test_a_client_that_leaves_before_it_is_refused() -> None:
    """There is nobody to tell, and nothing to log: the call is over."""
    with pytest.raises(asyncio.CancelledError):
        await abort(Left(), internal())


class Gate:
    """A store's write that waits until it is let through."""

    def __init__(self, store: Any) -> None:
        self._write = store.write
        self.entered = asyncio.Event()
        self.open = asyncio.Event()
        store.write = self

    async def __call__(self, write: StateWrite, /) -> None:
        """Write, when the gate is open."""
        self.entered.set()
        await self.open.wait()
        await self._write(write)


@pytest.fixture
def gate(sidecar: GrpcSidecar) -> Gate:
    """A gate before the store."""
    return Gate(sidecar.inner.runtime.loaded("state")["store"])


async def test_a_change_goes_on_without_its_client(sidecar: GrpcSidecar, gate: Gate) -> None:
    """A client that cancels in the middle of a change does not leave half of it behind."""
    async with nothing_left():
        call = sidecar.stub.SaveState(saving(m.StateItem(key="a", value=b"1")))
        await gate.entered.wait()
        call.cancel()
        assert await call.code() is grpc.StatusCode.CANCELLED
        gate.open.set()
        state = sidecar.inner.runtime.state
        store: Any = sidecar.inner.runtime.loaded("state")["store"]
        await eventually(lambda: bool(store._items))
        found = await state.get("store", "a")
        assert found is not None
        assert found.data == b"1"


async def test_a_deadline_ends_the_call_alone(sidecar: GrpcSidecar, gate: Gate) -> None:
    """A client whose time is over gets its answer; the change goes on."""
    async with nothing_left():
        call = sidecar.stub.SaveState(saving(m.StateItem(key="a", value=b"1")), timeout=0.05)
        assert (await refusal(call)).code == "DEADLINE_EXCEEDED"
        gate.open.set()


@pytest.mark.row("FS-20", "R-07")
async def test_a_connection_that_is_gone(sidecar: GrpcSidecar) -> None:
    """A client that disappears frees all its streams and calls at once."""
    configuration = sidecar.inner.runtime.configuration
    async with nothing_left():
        async with grpc.aio.insecure_channel(f"127.0.0.1:{sidecar.port}") as channel:
            stub: Any = m.DaprStub(channel)
            calls = [
                stub.SubscribeConfiguration(m.SubscribeConfigurationRequest(store_name="config"))
                for _ in range(50)
            ]
            for call in calls:
                assert (await call.read()).id
        await eventually(lambda: not configuration._subscriptions)


async def test_thousands_of_calls_leave_nothing(sidecar: GrpcSidecar) -> None:
    """After many calls, of which some fail and some are cancelled, nothing is left."""
    stub = sidecar.stub

    async def work(number: int) -> None:
        key = f"k{number}"
        await stub.SaveState(saving(m.StateItem(key=key, value=b"1")))
        await stub.GetState(m.GetStateRequest(store_name="store", key=key))
        await refusal(stub.GetState(m.GetStateRequest(store_name="none", key=key)))
        call = stub.GetState(m.GetStateRequest(store_name="store", key=key))
        call.cancel()
        assert await call.code() in {grpc.StatusCode.CANCELLED, grpc.StatusCode.OK}

    async with nothing_left():
        for _ in range(10):
            await asyncio.gather(*map(work, range(50)))
    assert sidecar.inner.runtime.calls.count == 0
    assert sidecar.inner.engine.work.count == 0
