"""What was accepted survives a kill of the process that accepted it."""

import asyncio
import contextlib
import json
import sys
from pathlib import Path
from typing import cast

import pytest

from daprflow.sidecar.clock import VirtualClock
from daprflow.sidecar.components.base import Message, PubSub, StateStore, StoredValue
from daprflow.sidecar.components.registry import COMPONENTS
from tests.helpers import outbox_process, writer_process
from tests.helpers.timing import until
from tests.helpers.writer_process import CONSUMER, TOPIC, made_from

WITHIN = 20.0


async def accepted_until_killed(
    root: Path, count: int, script: str = writer_process.__file__
) -> set[int]:
    """Run the writer, kill it after ``count`` numbers, and return all that it printed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, script, str(root), stdout=asyncio.subprocess.PIPE
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


@pytest.mark.row("FS-01", "FS-04")
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
    assert [isinstance(value, StoredValue) and int(value.data) for value in values] == keys


class Published:
    """Collects the numbers that an outbox publishes; an `Observer`."""

    def __init__(self) -> None:
        self.numbers: list[int] = []

    def published(self, _: str, message: Message, /) -> None:
        """Keep a number."""
        if message.topic == outbox_process.TOPIC:
            self.numbers.append(int(json.loads(message.data)["data"]))

    def delivered(self, *_: object) -> None:
        """Pass over deliveries."""


@pytest.mark.sockets
@pytest.mark.parametrize("count", [1, 200])
async def test_a_kill_between_commit_and_publishing_loses_no_event(
    tmp_path: Path, count: int
) -> None:
    """After SIGKILL every value that a transaction stored is published through its outbox."""
    accepted = await accepted_until_killed(tmp_path, count, outbox_process.__file__)
    clock = VirtualClock()
    runtime = outbox_process.made_runtime(tmp_path, clock)
    await runtime.open()
    seen = runtime.pubsub.observer = Published()
    try:
        await until(clock, lambda: accepted <= set(seen.numbers), WITHIN)
        keys = [f"app1||{number}" for number in seen.numbers]
        store = cast("StateStore", runtime.loaded("state")["store"])
        assert None not in await store.get_many(keys)
    finally:
        await runtime.close(0.0)
        await runtime.engine.close()
