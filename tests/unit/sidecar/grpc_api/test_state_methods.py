"""State over gRPC: bytes as they come, statuses as recorded, calls that end whole."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest

from daprflow.protocol import messages as m
from daprflow.sidecar.options import RuntimeOptions
from tests.helpers.grpc_sidecar import GrpcSidecar, grpc_sidecar

STORES = {"store": ("state.in-memory", {}), "disk": ("state.sqlite", {"connectionString": "s.db"})}


@pytest.fixture
async def sidecar(tmp_path: Path) -> AsyncIterator[GrpcSidecar]:
    """A sidecar with two stores."""
    async with grpc_sidecar(tmp_path, STORES) as running:
        yield running


async def save(sidecar: GrpcSidecar, *items: m.StateItem, store: str = "store") -> None:
    """Save items."""
    await sidecar.stub.SaveState(m.SaveStateRequest(store_name=store, states=items))


async def get(sidecar: GrpcSidecar, key: str, store: str = "store") -> m.GetStateResponse:
    """Get a key."""
    request = m.GetStateRequest(store_name=store, key=key)
    answer: m.GetStateResponse = await sidecar.stub.GetState(request)
    return answer


async def refused(call: "grpc.aio.UnaryUnaryCall[object, object]") -> grpc.aio.AioRpcError:
    """Return how a call failed."""
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    return raised.value


@pytest.mark.row("I-ST")
async def test_bytes_come_back_as_they_were(sidecar: GrpcSidecar) -> None:
    """A value is kept byte for byte, whatever it is."""
    await save(sidecar, m.StateItem(key="raw", value=b"\x00\xff not json"))
    assert (await get(sidecar, "raw")).data == b"\x00\xff not json"


async def test_an_absent_key_is_an_empty_answer(sidecar: GrpcSidecar) -> None:
    """What is not there has neither data nor an ETag."""
    assert await get(sidecar, "none") == m.GetStateResponse()


async def test_json_is_written_anew(sidecar: GrpcSidecar) -> None:
    """A value that calls itself JSON is kept without its blanks."""
    item = m.StateItem(key="j", value=b'{ "a" : 1 }', metadata={"contentType": "application/json"})
    await save(sidecar, item)
    assert (await get(sidecar, "j")).data == b'{"a":1}'


async def test_broken_json_is_refused(sidecar: GrpcSidecar) -> None:
    """A value that calls itself JSON and is not makes the call fail, and nothing is kept."""
    item = m.StateItem(key="j", value=b"{", metadata={"contentType": "application/json"})
    request = m.SaveStateRequest(store_name="store", states=[item])
    error = await refused(sidecar.stub.SaveState(request))
    assert error.code() is grpc.StatusCode.UNKNOWN
    assert await get(sidecar, "j") == m.GetStateResponse()


async def test_bulk_reads_keep_the_order(sidecar: GrpcSidecar) -> None:
    """Items come in the order of the keys, absent ones with their key alone."""
    await save(sidecar, m.StateItem(key="a", value=b"1"), m.StateItem(key="b", value=b"2"))
    request = m.GetBulkStateRequest(store_name="store", keys=["b", "none", "a"])
    items = (await sidecar.stub.GetBulkState(request)).items
    assert [(item.key, item.data) for item in items] == [("b", b"2"), ("none", b""), ("a", b"1")]


async def test_a_bulk_delete_leaves_the_rest(sidecar: GrpcSidecar) -> None:
    """Several keys go at once; one with a stale ETag stays and is the call's failure."""
    await save(sidecar, *(m.StateItem(key=key, value=b"1") for key in "abc"))
    stale = m.StateItem(key="b", etag=m.Etag(value="7"))
    request = m.DeleteBulkStateRequest(store_name="store", states=[m.StateItem(key="a"), stale])
    error = await refused(sidecar.stub.DeleteBulkState(request))
    assert error.code() is grpc.StatusCode.ABORTED
    left = [key for key in "abc" if (await get(sidecar, key)).data]
    assert left == ["b", "c"]


@pytest.mark.row("I-ST")
async def test_failures_carry_their_reason(sidecar: GrpcSidecar) -> None:
    """A stale ETag is ABORTED, with the reason among the details as Google's model has it."""
    await save(sidecar, m.StateItem(key="a", value=b"1"))
    item = m.StateItem(key="a", value=b"2", etag=m.Etag(value="7"))
    error = await refused(
        sidecar.stub.SaveState(m.SaveStateRequest(store_name="store", states=[item]))
    )
    assert error.code() is grpc.StatusCode.ABORTED
    packed = dict(error.trailing_metadata() or ())["grpc-status-details-bin"]
    status = m.RpcStatus.FromString(packed)
    info = m.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert (status.message, info.reason) == (error.details(), "ERR_STATE_SAVE")


async def test_a_transaction_is_all_or_nothing(sidecar: GrpcSidecar) -> None:
    """One operation that cannot be done undoes the others."""
    operations = [
        m.TransactionalStateOperation(
            operationType="upsert", request=m.StateItem(key="a", value=b"1")
        ),
        m.TransactionalStateOperation(
            operationType="delete", request=m.StateItem(key="b", etag=m.Etag(value="7"))
        ),
    ]
    request = m.ExecuteStateTransactionRequest(storeName="disk", operations=operations)
    await save(sidecar, m.StateItem(key="b", value=b"1"), store="disk")
    error = await refused(sidecar.stub.ExecuteStateTransaction(request))
    assert error.code() is grpc.StatusCode.INTERNAL
    assert await get(sidecar, "a", "disk") == m.GetStateResponse()


async def test_a_write_ends_whole_though_its_client_leaves(sidecar: GrpcSidecar) -> None:
    """Writes whose client cancels are done or not begun; the server goes on as before."""
    items = [m.StateItem(key=f"k{number}", value=b"1") for number in range(50)]
    for number in range(20):
        call = sidecar.stub.SaveState(m.SaveStateRequest(store_name="disk", states=items))
        for _ in range(number):
            await asyncio.sleep(0)
        call.cancel()
    await sidecar.inner.runtime.calls.idle()
    request = m.GetBulkStateRequest(store_name="disk", keys=[item.key for item in items])
    found = [item for item in (await sidecar.stub.GetBulkState(request)).items if item.data]
    assert len(found) in {0, len(items)}


async def test_a_message_over_the_limit_is_refused(tmp_path: Path) -> None:
    """A request larger than the body limit ends as RESOURCE_EXHAUSTED; the next one is served."""
    options = RuntimeOptions("app1", max_body_size=1000)
    async with grpc_sidecar(tmp_path, STORES, options=options) as sidecar:
        item = m.StateItem(key="big", value=b"x" * 2000)
        request = m.SaveStateRequest(store_name="store", states=[item])
        error = await refused(sidecar.stub.SaveState(request))
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert await get(sidecar, "big") == m.GetStateResponse()
