"""Figures: state through the embedded sidecar, with few and many keys, and the client's part."""

import asyncio
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import msgspec

from benchmarks.client import FROM_CLIENT, request_bytes
from benchmarks.messages import Saturate, Saturated
from benchmarks.processes import Agent, BenchmarkError, Server
from benchmarks.publish import sidecar
from benchmarks.table import Bound, Figure, Section, at_least, at_most, median_ratio
from daprflow.client import Client
from daprflow.settings import Settings

CALLERS = 32
FEW, MANY = 1_000, 100_000
AT_ONCE = 2_000
KEY = "key-500"
STORES = {
    "memory-few": ("state.in-memory", FEW),
    "memory-many": ("state.in-memory", MANY),
    "file-few": ("state.sqlite", FEW),
    "file-many": ("state.sqlite", MANY),
}
VALUE = {"id": "o-1", "total": 120, "items": ["tea", "cup"]}


def _component(name: str, kind: str) -> str:
    return (
        "apiVersion: dapr.io/v1alpha1\nkind: Component\n"
        f"metadata: {{name: {name}}}\n"
        f"spec: {{type: {kind}, version: v1, metadata: "
        f"[{{name: connectionString, value: {name}.db}}]}}\n"
    )


def _get(store: str) -> bytes:
    head = f"GET /v1.0/state/{store}/{KEY} HTTP/1.1\r\nhost: 127.0.0.1\r\n{FROM_CLIENT}\r\n"
    return head.encode()


def _transaction(store: str) -> bytes:
    operation = {"operation": "upsert", "request": {"key": KEY, "value": VALUE}}
    body = msgspec.json.encode({"operations": [operation]})
    return request_bytes(f"/v1.0/state/{store}/transaction", body, FROM_CLIENT)


def _rate(agent: Agent, server: Server, request: bytes, seconds: float) -> float:
    done = agent.carry_out(Saturate(server.port, request, CALLERS, seconds))
    if not isinstance(done, Saturated) or done.failures:
        raise BenchmarkError(f"the sidecar refused: {done}")
    return done.answers / done.seconds


async def _fill(settings: Settings) -> None:
    async with Client(settings) as client:
        for name, (_, count) in STORES.items():
            store = client.state(name)
            for start in range(0, count, AT_ONCE):
                keys = range(start, min(count, start + AT_ONCE))
                await store.set_many({f"key-{number}": VALUE for number in keys})


async def _alone(settings: Settings, rounds: int, calls: int) -> tuple[list[float], list[float]]:
    """Return seconds per get, of the client and of bare aiohttp, in alternate rounds."""
    ours: list[float] = []
    bare: list[float] = []
    url = f"{settings.http_endpoint}/v1.0/state/memory-few/{KEY}"
    async with Client(settings) as client, aiohttp.ClientSession() as session:
        store = client.state("memory-few")
        for _ in range(rounds + 1):
            began = time.perf_counter()
            for _ in range(calls):
                await store.get(KEY, dict)
            ours.append((time.perf_counter() - began) / calls)
            began = time.perf_counter()
            for _ in range(calls):
                async with session.get(url) as answer:
                    msgspec.json.decode(await answer.read())
            bare.append((time.perf_counter() - began) / calls)
    return ours[1:], bare[1:]  # the first ones only warm up


def measure(agent: Agent, *, rounds: int, seconds: float) -> Section:
    """Read and write through one sidecar with every store, ``rounds`` times."""
    requests = {
        "get, in memory": _get("memory-few"),
        "get, in memory, 100,000 keys": _get("memory-many"),
        "get, SQLite": _get("file-few"),
        "get, SQLite, 100,000 keys": _get("file-many"),
        "transaction, SQLite": _transaction("file-few"),
        "transaction, SQLite, 100,000 keys": _transaction("file-many"),
    }
    rates: dict[str, list[float]] = {name: [] for name in requests}
    with tempfile.TemporaryDirectory() as name:
        resources = Path(name) / "resources"
        resources.mkdir()
        for store, (kind, _) in STORES.items():
            (resources / f"{store}.yaml").write_text(_component(store, kind))
        with sidecar(Path(name), agent.sink_port, "--resources-path", str(resources)) as server:
            settings = Settings(http_endpoint=f"http://127.0.0.1:{server.port}")
            asyncio.run(_fill(settings))
            for _ in range(rounds):
                for label, request in requests.items():
                    rates[label].append(_rate(agent, server, request, seconds))
            ours, bare = asyncio.run(_alone(settings, rounds * 5, 150))
    return Section(f"State, {CALLERS} callers", list(_figures(rates, ours, bare)))


def _figures(
    rates: dict[str, list[float]], ours: list[float], bare: list[float]
) -> Iterator[Figure]:
    bounds: dict[str, Bound] = {
        "get, in memory": at_least(10_000),
        "transaction, SQLite": at_least(5_000),
    }
    for name, found in rates.items():
        yield Figure(name, statistics.median(found), "calls/s", bounds.get(name))
    for name in ("get, in memory", "get, SQLite", "transaction, SQLite"):
        ratio = median_ratio(rates[name], rates[f"{name}, 100,000 keys"])
        yield Figure(f"{name}: cost with 100,000 keys", ratio, "times 1,000", at_most(1.5))
    alone = f"{statistics.median(ours) * 1e3:.3f} ms, aiohttp {statistics.median(bare) * 1e3:.3f}"
    yield Figure(
        "client get / bare aiohttp", median_ratio(bare, ours), "ratio", at_least(0.9), alone
    )
