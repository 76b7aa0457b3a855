"""Figure: what idle streaming subscriptions cost a sidecar in memory."""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from benchmarks.processes import (
    BenchmarkError,
    Server,
    grpc_sidecar,
    resident_mib,
)
from benchmarks.table import Figure, Section, at_most
from daprflow.protocol import messages as m

STREAMS, CONNECTIONS = 1_000, 10
AT_ONCE = 50
SETTLED = 2.0
"""Seconds for the sidecar to come to rest before its memory is looked at."""
PATIENCE = 20.0


@dataclass(frozen=True, slots=True)
class Found:
    """MiB of the sidecar with one stream, with all, and seconds that it took to open them."""

    before: float
    after: float
    seconds: float


@asynccontextmanager
async def _stubs(port: int) -> AsyncIterator[list[Any]]:
    """Give a client for each connection."""
    options = (("grpc.use_local_subchannel_pool", 1),)
    address = f"127.0.0.1:{port}"
    channels = [grpc.aio.insecure_channel(address, options) for _ in range(CONNECTIONS)]
    try:
        yield [m.DaprStub(channel) for channel in channels]
    finally:
        for channel in channels:
            await channel.close()


async def _open(stub: Any, topic: str) -> Any:
    """Open a stream, and wait until it is subscribed."""
    call = stub.SubscribeTopicEventsAlpha1(wait_for_ready=True)
    request = m.SubscribeTopicEventsRequestInitialAlpha1(pubsub_name="pubsub", topic=topic)
    await call.write(m.SubscribeTopicEventsRequestAlpha1(initial_request=request))
    async with asyncio.timeout(PATIENCE):
        answer = await call.read()
    if answer is grpc.aio.EOF or not answer.HasField("initial_response"):
        raise BenchmarkError(f"the stream of '{topic}' was refused: {await call.details()}")
    return call


async def _measured(server: Server) -> Found:
    async with _stubs(server.port) as stubs:
        kept = [await _open(stub, f"first-{number}") for number, stub in enumerate(stubs)]
        await asyncio.sleep(SETTLED)
        before = resident_mib(server.pid)
        began = time.perf_counter()
        for start in range(0, STREAMS, AT_ONCE):
            numbers = range(start, start + AT_ONCE)
            kept += await asyncio.gather(
                *(_open(stubs[number % CONNECTIONS], f"topic-{number}") for number in numbers)
            )
        seconds = time.perf_counter() - began
        await asyncio.sleep(SETTLED)
        return Found(before, resident_mib(server.pid), seconds)


def measure() -> Section:
    """Open the streams, each on a topic of its own, on a sidecar in a folder of its own."""
    with tempfile.TemporaryDirectory() as name, grpc_sidecar(Path(name)) as server:
        found = asyncio.run(_measured(server))
    note = f"{found.before:.0f} MiB with {CONNECTIONS}, opened in {found.seconds:.1f} s"
    cost = Figure("memory", found.after - found.before, "MiB", at_most(60), note)
    return Section(f"{STREAMS:,} idle streaming subscriptions", [cost])
