"""State that our client and the official SDK write for each other."""

import asyncio
import os
import sys
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from daprflow.client import Client
from daprflow.settings import Settings
from daprflow.sidecar.grpc_api.server import GrpcServer
from tests.helpers.sidecar import Components, RunningSidecar, running_sidecar

pytestmark = pytest.mark.sockets

ROOT = Path(__file__).parents[2]
STORE = "statestore"


class Order(msgspec.Struct):
    """A value."""

    id: str
    total: int


THEIRS: tuple[tuple[bytes, type[Any], object], ...] = (
    (bytes(range(256)), bytes, bytes(range(256))),
    (b"", bytes, b""),
    (b'{"id": "o-1", "total": 3}', Order, Order("o-1", 3)),
    (b'{"id": "o-1", "total": 3}', bytes, b'{"id": "o-1", "total": 3}'),
    ("żółw ✓".encode(), str, "żółw ✓"),
    (b'"a JSON text"', str, "a JSON text"),
    (b"42", int, 42),
    (b"42", str, "42"),
    (b"-1.5", float, -1.5),
)
OURS: tuple[tuple[object, bytes], ...] = (
    (Order("o-1", 3), b'{"id":"o-1","total":3}'),
    ("żółw ✓", '"żółw ✓"'.encode()),
    (42, b"42"),
    (-1.5, b"-1.5"),
    ([1, None, True], b"[1,null,true]"),
    (b"\x00\xff", b"\x00\xff"),
)


async def official(
    sidecar: RunningSidecar, grpc_port: int, save: Mapping[str, bytes], get: Sequence[str]
) -> dict[str, bytes]:
    """Save and read through the official SDK."""
    ports = {"DAPR_HTTP_PORT": str(sidecar.port), "DAPR_GRPC_PORT": str(grpc_port)}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.helpers.official_state", STORE),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
        env=os.environ | ports,
    )
    values = {key: b64encode(value).decode() for key, value in save.items()}
    order = msgspec.json.encode({"save": values, "get": get})
    said, _ = await process.communicate(order)
    assert process.returncode == 0
    return {key: b64decode(text) for key, text in msgspec.json.decode(said).items()}


async def test_state_goes_both_ways(tmp_path: Path) -> None:
    """Each reads what the other wrote: bytes, JSON, text and numbers, byte for byte."""
    components: Components = {STORE: ("state.sqlite", {"connectionString": "state.db"})}
    async with running_sidecar(tmp_path, components, app_id="app1", app_port=None) as sidecar:
        server = GrpcServer(sidecar.runtime)
        port = await server.start()
        settings = Settings(
            http_endpoint=f"http://127.0.0.1:{sidecar.port}", grpc_endpoint=f"127.0.0.1:{port}"
        )
        async with Client(settings) as client:
            ours = client.state(STORE)
            await ours.set_many({f"ours-{place}": value for place, (value, _) in enumerate(OURS)})

            read = await official(
                sidecar,
                port,
                {f"theirs-{place}": raw for place, (raw, _, _) in enumerate(THEIRS)},
                [f"ours-{place}" for place in range(len(OURS))],
            )

            assert list(read.values()) == [raw for _, raw in OURS]
            for place, (_, payload, value) in enumerate(THEIRS):
                item = await ours.get(f"theirs-{place}", payload)
                assert item is not None
                assert item.value == value
        await server.stop(0)
