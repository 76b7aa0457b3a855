"""Turns of actors that a kill cuts off: all of a turn is kept, or nothing."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from daprflow import Client, DaprFlowError
from daprflow.settings import Settings
from tests.helpers.cli_run import Run, write

pytestmark = [
    pytest.mark.sockets,
    pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="counts through /proc"),
]

APP = """
import asyncio

from daprflow import Actor, Client, DaprFlow, Part

app = DaprFlow("shop")


@app.actor(reentrant=True)
class PairActor(Actor[int]):
    second = Part(int)

    def __init__(self, client: Client) -> None:
        self.client = client

    async def up(self) -> int:
        self.state += 1
        await asyncio.sleep(0)
        await self.client.actor(PairActor, self.id).up_second()
        return self.state

    async def up_second(self) -> None:
        self.second += 1

    async def both(self) -> tuple[int, int]:
        return self.state, self.second
"""
IDS = ("ann", "bob", "joe")
ENOUGH = 20


async def count_until_lost(
    client: Client, actor_id: str, done: dict[str, int], enough: asyncio.Event
) -> None:
    """Call an actor until nobody answers; what was answered was saved."""
    actor = client.actor("PairActor", actor_id)
    while True:
        try:
            done[actor_id] = await actor.invoke("up", returns=int)
        except DaprFlowError:
            return
        if min(done.values()) >= ENOUGH:
            enough.set()


@pytest.mark.row("FA-28")
@pytest.mark.parametrize("killed", ["everything", "the app"])
async def test_a_kill_cuts_no_turn_in_two(tmp_path: Path, killed: str) -> None:
    """FA-28: after SIGKILL what was answered is there, and no turn's state was saved in part."""
    write(tmp_path, {"app.py": APP})
    done, enough = dict.fromkeys(IDS, 0), asyncio.Event()
    words = ("run", ".", "--sidecar", "embedded")
    with Run(tmp_path, *words) as run:
        run.ready()
        settings = Settings(http_endpoint=f"http://127.0.0.1:{run.port('HTTP')}")
        async with Client(settings) as client, asyncio.timeout(60), asyncio.TaskGroup() as group:
            for actor_id in IDS:
                group.create_task(count_until_lost(client, actor_id, done, enough))
            await enough.wait()
            os.kill(run.process.pid if killed == "everything" else app_of(run), signal.SIGKILL)
        run.ended()
        assert run.all_gone()
    with Run(tmp_path, *words) as run:
        run.ready()
        settings = Settings(http_endpoint=f"http://127.0.0.1:{run.port('HTTP')}")
        async with Client(settings) as client:
            for actor_id in IDS:
                actor = client.actor("PairActor", actor_id)
                first, second = await actor.invoke("both", returns=tuple[int, int])
                assert first == second
                assert done[actor_id] <= first <= done[actor_id] + 1


def app_of(run: Run) -> int:
    """Return the process of the app: the guard's child, which is the command's."""
    parents = {pid: int(Path(f"/proc/{pid}/stat").read_text().split()[3]) for pid in run.alive()}
    guard = next(pid for pid, parent in parents.items() if parent == run.process.pid)
    return next(pid for pid, parent in parents.items() if parent == guard)
