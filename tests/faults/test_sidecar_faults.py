"""Faults of the embedded sidecar and the command (FS-, FC-) without a test beside the part."""

import asyncio
import random
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import pytest

from daprflow.sidecar import clock
from daprflow.sidecar.clock import VirtualClock
from daprflow.sidecar.components.base import StateStore, StateWrite, StoredValue
from daprflow.sidecar.components.registry import COMPONENTS
from tests.helpers.cli_run import Run
from tests.helpers.components import context
from tests.helpers.http_client import RawClient
from tests.helpers.timing import eventually

ACCOUNTS = [f"account{number}" for number in range(5)]
EACH = 100


async def amounts(store: StateStore) -> list[int]:
    """Read all accounts at once."""
    found = await store.get_many(ACCOUNTS)
    return [int(value.data) for value in found if isinstance(value, StoredValue)]


@pytest.mark.row("FS-22")
@pytest.mark.parametrize("kind", ["state.in-memory", "state.sqlite"])
async def test_transactions_are_read_whole(tmp_path: Path, kind: str) -> None:
    """While amounts move between accounts nobody ever reads another sum."""
    metadata = {"connectionString": "state.db"} if kind == "state.sqlite" else {}
    made_from = context(tmp_path, VirtualClock(), kind, **metadata)
    store = cast("StateStore", COMPONENTS[kind](made_from))
    await store.open()
    await store.transact([StateWrite(key, b"%d" % EACH) for key in ACCOUNTS])
    moving = asyncio.Lock()
    sums: list[int] = []

    async def move(chance: random.Random) -> None:
        for _ in range(25):
            one, other = chance.sample(range(len(ACCOUNTS)), 2)
            async with moving:
                now = await amounts(store)
                taken = chance.randrange(20)
                await store.transact(
                    [
                        StateWrite(ACCOUNTS[one], b"%d" % (now[one] - taken)),
                        StateWrite(ACCOUNTS[other], b"%d" % (now[other] + taken)),
                    ]
                )

    async def read() -> None:
        while len(sums) < 200 or not all(task.done() for task in movers):
            sums.append(sum(await amounts(store)))
            await asyncio.sleep(0)

    movers: Sequence[asyncio.Task[None]] = [
        asyncio.create_task(move(random.Random(seed)))  # noqa: S311 - a test repeats
        for seed in range(4)
    ]
    await asyncio.gather(read(), *movers)
    await store.close()
    assert set(sums) == {EACH * len(ACCOUNTS)}


@pytest.mark.row("FS-12", "R-27")
async def test_a_wall_clock_that_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """A timer goes off when the clock says so, were it set ahead or back meanwhile; never early."""
    wall, rang = [1_000.0], asyncio.Event()
    monkeypatch.setattr("daprflow.sidecar.clock.time.time", lambda: wall[0])
    monkeypatch.setattr(clock, "LOOK_AGAIN", 0.01)
    clock.SystemClock().call_at(1_000.02, rang.set)
    wall[0] = 900.0
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(rang.wait(), 0.1)
    clock.SystemClock().call_at(5_000.0, rang.set).cancel()
    wall[0] = 10_000.0
    await asyncio.wait_for(rang.wait(), 10)


SECRET = "hunter2-of-the-command-line"
ABANDONING = """
import os, signal
for _ in range(5):
    if not os.fork():
        os.fork() or os._exit(0)
        os._exit(0)
    os.wait()
print("abandoned", flush=True)
signal.pause()
"""
"""A command whose grandchildren end when nobody is left who would ask for their outcome."""


def zombies(pid: int) -> list[str]:
    """Return the processes below ``pid`` that ended and that nobody asked for their outcome."""
    found = []
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split():
        state = Path(f"/proc/{child}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        found += [child] * (state[0] == "Z") + zombies(int(child))
    return found


@pytest.mark.row("FC-07", "FC-16")
@pytest.mark.sockets
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks through /proc")
async def test_what_a_run_reaps_and_tells(tmp_path: Path) -> None:
    """What the app abandoned is reaped, and the metadata have nothing of the app's command."""
    words = ["--ephemeral", "--app-id", "shop", "--", sys.executable, "-c", ABANDONING, SECRET]
    with Run(tmp_path, "run", *words) as run:
        await eventually(lambda: all(part in run.text for part in ("abandoned", " ports ")))
        port = run.port("Dapr HTTP")
        answer = await RawClient(port).call("GET", "/v1.0/metadata")
        assert answer.status == 200
        assert SECRET.encode() not in answer.body
        await eventually(lambda: zombies(run.process.pid) == [])
