"""Workflows in a state store of the user's, while their sidecar is killed again and again."""

import asyncio
import contextlib
import socket
import sqlite3
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from daprflow.protocol import workflow_messages as wf
from tests.helpers import workflow_store_process
from tests.helpers.chain_worker import ChainWorker, insist
from tests.helpers.timing import eventually

WORKFLOWS = 10
STEPS = 5
KILLS = 2
WITHIN = 60.0


@contextlib.contextmanager
def held_port() -> Iterator[int]:
    """Hold a port that only servers take which share it, as those of these sidecars do."""
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


async def started(folder: Path, port: int) -> asyncio.subprocess.Process:
    """Start a sidecar and wait until it listens."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        workflow_store_process.__name__,
        str(folder),
        str(port),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"up\n"
    return process


async def killed_again_and_again(folder: Path, port: int, worker: ChainWorker) -> None:
    """Run sidecars until cancelled, each but the last killed in the middle of the work."""
    process = await started(folder, port)
    try:
        for kill in range(1, KILLS + 1):
            wanted = kill * WORKFLOWS * STEPS // (KILLS + 1)
            await eventually(partial(_reached, worker, wanted), WITHIN)
            process.kill()
            await process.wait()
            process = await started(folder, port)
        await process.wait()
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _reached(worker: ChainWorker, wanted: int) -> bool:
    return worker.executed.total() >= wanted


async def outcome(port: int, number: int) -> tuple[int, str]:
    """Run one workflow and return how it ended."""
    instance_id = f"i{number}"
    request = wf.CreateInstanceRequest(instanceId=instance_id, name="chain")
    request.input.value = str(STEPS)
    await insist(port, "StartInstance", request)
    wanted = wf.GetInstanceRequest(instanceId=instance_id, getInputsAndOutputs=True)
    answer = await insist(port, "WaitForInstanceCompletion", wanted)
    return answer.workflowState.workflowStatus, answer.workflowState.output.value


async def test_every_workflow_in_a_store_ends_exactly(tmp_path: Path) -> None:
    """All workflows end with their results, though the sidecar is killed in the middle of them.

    An activity is done again where a kill cut it off, and nowhere else. The store has it all.
    """
    with held_port() as port:
        worker = await all_done(tmp_path, port)
    assert len(worker.executed) == WORKFLOWS * STEPS
    again = sum(worker.executed.values()) - len(worker.executed)
    assert again <= KILLS * WORKFLOWS
    with sqlite3.connect(tmp_path / "user.db") as connection:
        sql = "SELECT count(*) FROM state WHERE key LIKE '%||metadata'"
        assert connection.execute(sql).fetchone() == (WORKFLOWS,)
    connection.close()


async def all_done(root: Path, port: int) -> ChainWorker:
    """Run every workflow to its end, and return the worker that did them."""
    worker = ChainWorker(port)
    tasks = {
        asyncio.create_task(killed_again_and_again(root, port, worker)),
        asyncio.create_task(worker.run()),
    }
    try:
        async with asyncio.timeout(WITHIN):
            found = await asyncio.gather(*(outcome(port, number) for number in range(WORKFLOWS)))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    assert set(found) == {(wf.ORCHESTRATION_STATUS_COMPLETED, "1,2,3,4,5")}
    return worker
