"""A streaming subscription outlives the process of its sidecar."""

import asyncio
from pathlib import Path

import pytest

from daprflow.client import Client, Subscription
from daprflow.settings import Settings
from tests.helpers.cli_run import Run
from tests.helpers.own_ports import free_port
from tests.helpers.timing import eventually

WITHIN = 30.0
COUNT = 60


@pytest.mark.row("FA-03")
@pytest.mark.sockets
async def test_a_killed_sidecar_loses_no_event_of_a_stream(tmp_path: Path) -> None:
    """After SIGKILL the loop goes on with the next process, and every accepted event comes."""
    http, grpc = free_port(), free_port()
    words = ("sidecar", "--app-id", "shop", f"--dapr-http-port={http}", f"--dapr-grpc-port={grpc}")
    settings = Settings(http_endpoint=f"http://127.0.0.1:{http}", grpc_endpoint=f"127.0.0.1:{grpc}")
    seen: list[int] = []

    async def work(messages: Subscription[int]) -> None:
        async for message in messages:
            async with message:
                seen.append(message.data)

    first = Run(tmp_path, *words)
    with first:
        async with Client(settings) as client:
            async with client.subscribe("pubsub", "numbers", int) as messages:
                working = asyncio.create_task(work(messages))
                for number in range(COUNT):
                    await client.publish("pubsub", "numbers", number)
                await eventually(lambda: len(seen) > 5, WITHIN)
                first.process.kill()
                first.process.wait()
                with Run(tmp_path, *words):
                    await client.wait_until_ready()
                    await client.publish("pubsub", "numbers", COUNT)
                    await eventually(lambda: set(seen) == set(range(COUNT + 1)), WITHIN)
            await working
    assert max(seen.count(number) for number in seen) <= 2
