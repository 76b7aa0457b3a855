"""Figures: unary calls on the embedded sidecar's gRPC API, beside a bare service."""

import asyncio
import os
import statistics
import tempfile
import time
from contextlib import AbstractContextManager
from pathlib import Path

import grpc

from benchmarks.processes import (
    LOAD_CORE,
    Server,
    grpc_sidecar,
    serving,
)
from benchmarks.table import Figure, Section, at_least, median_ratio
from daprflow.protocol import messages

CALLERS = 32
_SERVICE = "/dapr.proto.runtime.v1.Dapr/"
_COMPONENT = (
    "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: {name: store}\n"
    "spec: {type: state.in-memory, version: v1}\n"
)


def _sidecar(folder: Path) -> AbstractContextManager[Server]:
    """Start one with one store, in memory."""
    resources = folder / "resources"
    resources.mkdir()
    (resources / "store.yaml").write_text(_COMPONENT)
    return grpc_sidecar(folder, "--ephemeral", "--resources-path", str(resources))


def measure(*, rounds: int, seconds: float) -> Section:
    """Call both services in alternate rounds, from the load's core."""
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    if cores is not None:
        os.sched_setaffinity(0, {LOAD_CORE})
    try:
        with (
            tempfile.TemporaryDirectory() as name,
            _sidecar(Path(name)) as ours,
            serving("grpc_constant") as bare,
        ):
            rates = asyncio.run(_rates(ours.port, bare.port, rounds, seconds))
    finally:
        if cores is not None:
            os.sched_setaffinity(0, cores)
    return Section(f"gRPC API, state get, {CALLERS} callers", _figures(*rates))


def _figures(ours: list[float], bare: list[float]) -> list[Figure]:
    return [
        Figure("embedded sidecar", statistics.median(ours), "calls/s"),
        Figure("bare grpc.aio, a constant", statistics.median(bare), "calls/s"),
        Figure("embedded / bare", median_ratio(ours, bare), "ratio", at_least(0.75)),
    ]


async def _rates(
    ours: int, bare: int, rounds: int, seconds: float
) -> tuple[list[float], list[float]]:
    found: tuple[list[float], list[float]] = ([], [])
    item = messages.StateItem(key="key", value=b'{"id":"o-1","total":120,"items":["tea","cup"]}')
    saving = messages.SaveStateRequest(store_name="store", states=[item])
    async with (
        grpc.aio.insecure_channel(f"127.0.0.1:{ours}") as channel,
        grpc.aio.insecure_channel(f"127.0.0.1:{bare}") as other,
    ):
        await _method(channel, "SaveState")(saving.SerializeToString(), wait_for_ready=True)
        for number in range(rounds + 1):
            for place, one in zip(found, (channel, other), strict=True):
                rate = await _rate(one, seconds)
                if number:  # the first round only warms up
                    place.append(rate)
    return found


def _method(
    channel: grpc.aio.Channel, name: str
) -> "grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]":
    return channel.unary_unary(_SERVICE + name, bytes, bytes)


async def _rate(channel: grpc.aio.Channel, seconds: float) -> float:
    get = _method(channel, "GetState")
    request = messages.GetStateRequest(store_name="store", key="key").SerializeToString()
    began = time.perf_counter()
    end = began + seconds

    async def caller() -> int:
        count = 0
        while time.perf_counter() < end:
            if not await get(request):
                raise AssertionError("the service answered nothing")
            count += 1
        return count

    counts = await asyncio.gather(*(caller() for _ in range(CALLERS)))
    return sum(counts) / (time.perf_counter() - began)
