"""Clients of streaming subscriptions that die."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.helpers import stream_process
from tests.helpers.grpc_sidecar import GrpcSidecar, grpc_sidecar
from tests.helpers.sidecar import Components
from tests.helpers.topic_streams import publish, stream, within

WITHIN = 20.0


@contextlib.asynccontextmanager
async def holder(sidecar: GrpcSidecar, topic: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Start a client that holds on to the first event of a topic."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        stream_process.__file__,
        str(sidecar.port),
        topic,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert await said(process) == "open"
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def said(process: asyncio.subprocess.Process) -> str:
    """Return the next line of a process."""
    assert process.stdout is not None
    async with asyncio.timeout(WITHIN):
        return (await process.stdout.readline()).decode().strip()


@pytest.mark.sockets
async def test_what_a_killed_client_had_comes_to_another(tmp_path: Path) -> None:
    """SIGKILL of a client ends its subscription, and its event comes to the next stream."""
    broker: Components = {"pubsub": ("pubsub.daprflow", {})}
    async with grpc_sidecar(tmp_path, broker, data_dir=tmp_path) as sidecar:
        async with holder(sidecar, "orders") as process:
            await publish(sidecar, b"held")
            event_id = await said(process)
            process.kill()
            await sidecar.inner.until(lambda: not sidecar.inner.runtime.subscriptions)
        client = await stream(sidecar)
        event = await client.next()
        assert (event.id, event.data) == (event_id, b"held")
        await client.judge(event)
        await within(sidecar, sidecar.inner.engine.work.idle())


@pytest.mark.sockets
async def test_a_close_in_a_hurry_waits_for_no_verdict(tmp_path: Path) -> None:
    """A second Ctrl-C ends at once what the first one gave the clients of streams time for."""
    broker: Components = {"pubsub": ("pubsub.daprflow", {})}
    async with grpc_sidecar(tmp_path, broker, data_dir=tmp_path) as sidecar:
        client = await stream(sidecar)
        await publish(sidecar, b"held")
        await client.next()
        patient = asyncio.create_task(sidecar.inner.runtime.close(3600.0))
        await sidecar.inner.until(lambda: not sidecar.inner.runtime.health.ready)
        patient.cancel()
        await asyncio.wait({patient})
        async with asyncio.timeout(WITHIN):
            await sidecar.inner.runtime.close(0.0)
        assert await client.ended() == ("UNKNOWN", "stream closed")
