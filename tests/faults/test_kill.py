"""What was accepted survives a kill of the process that accepted it."""

import asyncio
import contextlib
import sys
from pathlib import Path
from typing import cast

import pytest

from daprflow.sidecar.components.base import Message, PubSub, StateStore
from daprflow.sidecar.components.registry import COMPONENTS
from tests.helpers import writer_process
from tests.helpers.writer_process import CONSUMER, TOPIC, made_from

WITHIN = 20.0


async def accepted_until_killed(root: Path, count: int) -> set[int]:
    """Run the writer, kill it after ``count`` numbers, and return all that it printed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, writer_process.__file__, str(root), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    lines: list[bytes] = []
    try:
        async with asyncio.timeout(WITHIN):
            while len(lines) < count:
                line = await process.stdout.readline()
                assert line, "the writer ended by itself"
                lines.append(line)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        rest = await process.stdout.read()
        await process.wait()
    whole, _, _ = rest.rpartition(b"\n")  # the last line may have been cut off
    return {int(line) for line in [*lines, *whole.splitlines()]}


@pytest.mark.sockets
@pytest.mark.parametrize("count", [1, 10, 100, 1000])
async def test_accepted_events_and_values_survive_a_kill(tmp_path: Path, count: int) -> None:
    """After SIGKILL every accepted event is delivered and every accepted value is stored."""
    accepted = await accepted_until_killed(tmp_path, count)
    assert len(accepted) >= count
    got: set[int] = set()
    complete = asyncio.Event()

    async def receive(message: Message) -> None:
        got.add(int(message.data))
        if accepted <= got:
            complete.set()

    broker = cast("PubSub", COMPONENTS["pubsub.daprflow"](made_from(tmp_path, "pubsub.daprflow")))
    await broker.open()
    stop = await broker.subscribe(TOPIC, CONSUMER, {}, receive)
    await asyncio.wait_for(complete.wait(), WITHIN)
    await stop()
    await broker.close()
    store = cast("StateStore", COMPONENTS["state.sqlite"](made_from(tmp_path, "state.sqlite")))
    await store.open()
    keys = sorted(accepted)
    values = await store.get_many([str(key) for key in keys])
    await store.close()
    assert [value and int(value.data) for value in values] == keys
