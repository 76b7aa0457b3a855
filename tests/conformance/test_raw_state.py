"""Bytes in state: over gRPC, alone, among other values, in transactions, with their errors."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from daprflow import BulkStateError, EtagMismatch, NotFound, SidecarUnavailable
from daprflow.client import Client, Delete, Upsert
from daprflow.settings import Settings
from daprflow.sidecar.grpc_api.server import GrpcServer
from tests.helpers.own_ports import free_port
from tests.helpers.sidecar import Components, RunningSidecar, running_sidecar

pytestmark = pytest.mark.sockets

RAW = b"\x00\xff"
COMPONENTS: Components = {"store": ("state.sqlite", {"connectionString": "state.db"})}


@pytest.fixture
async def sidecar(tmp_path: Path) -> AsyncIterator[RunningSidecar]:
    """A sidecar on sockets."""
    async with running_sidecar(tmp_path, COMPONENTS, app_id="app1", app_port=None) as running:
        yield running


@pytest.fixture
async def client(sidecar: RunningSidecar) -> AsyncIterator[Client]:
    """A client of both APIs."""
    server = GrpcServer(sidecar.runtime)
    port = await server.start()
    settings = Settings(
        http_endpoint=f"http://127.0.0.1:{sidecar.port}", grpc_endpoint=f"127.0.0.1:{port}"
    )
    async with Client(settings) as opened:
        yield opened
    await server.stop(0)


async def stored(sidecar: RunningSidecar, key: str) -> bytes | None:
    """Return what the store holds."""
    found = await sidecar.runtime.state.get("store", key)
    return None if found is None else found.data


async def test_bytes_are_stored_as_they_are(client: Client, sidecar: RunningSidecar) -> None:
    """What the store holds are the bytes themselves, which other SDKs read."""
    await client.state("store").set("k", RAW)
    assert await stored(sidecar, "k") == RAW


async def test_bytes_among_others_change_nothing_for_them(
    client: Client, sidecar: RunningSidecar
) -> None:
    """JSON values that are written together with bytes stay JSON."""
    await client.state("store").set_many({"raw": bytearray(RAW), "text": "tea"})
    assert (await stored(sidecar, "raw"), await stored(sidecar, "text")) == (RAW, b'"tea"')


async def test_a_transaction_may_hold_bytes(client: Client, sidecar: RunningSidecar) -> None:
    """All of it is done, or none."""
    store = client.state("store")
    await store.set("old", 1)
    await store.transaction(Upsert("raw", RAW), Upsert("text", "tea"), Delete("old"))
    assert [await stored(sidecar, key) for key in ("raw", "text", "old")] == [RAW, b'"tea"', None]
    with pytest.raises(EtagMismatch):
        await store.transaction(Upsert("raw", b"x"), Upsert("text", "milk", etag="stale"))
    assert await stored(sidecar, "raw") == RAW


async def test_a_stale_etag_is_the_usual_error(client: Client) -> None:
    """A conflict over gRPC is the same exception as one over HTTP."""
    store = client.state("store")
    await store.set("k", RAW)
    item = await store.get("k", bytes)
    assert item is not None
    await store.set("k", b"other", etag=item.etag)
    with pytest.raises(EtagMismatch):
        await store.set("k", b"third", etag=item.etag)


async def test_some_of_many_may_fail(client: Client) -> None:
    """Each of many values is written for itself; the error names those that were not."""
    store = client.state("store")
    with pytest.raises(BulkStateError) as raised:
        await store.set_many([Upsert("a", RAW), Upsert("b", RAW, etag="stale")])
    assert set(raised.value.failed) == {"b"}
    item = await store.get("a", bytes)
    assert item is not None
    assert item.value == RAW


async def test_an_unknown_store_is_not_found(client: Client) -> None:
    """The error says which store, as over HTTP."""
    with pytest.raises(NotFound, match="nowhere"):
        await client.state("nowhere").set("k", RAW)


async def test_no_grpc_is_said(sidecar: RunningSidecar) -> None:
    """Where nothing listens for gRPC the error names the address and the settings."""
    settings = Settings(
        http_endpoint=f"http://127.0.0.1:{sidecar.port}",
        grpc_endpoint=f"127.0.0.1:{free_port()}",
        health_timeout=0.3,
    )
    async with Client(settings) as client:
        with pytest.raises(SidecarUnavailable, match="DAPR_GRPC_PORT"):
            await client.state("store").set("k", RAW)
