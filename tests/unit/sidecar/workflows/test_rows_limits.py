"""Row I-WF6 of the regression pack: how much is done at one time, a full disk, and memory.

Limits of a whole sidecar are in `test_hub.py`, calls that fail on a full disk in
`test_rows_dedup.py`, and what is said where there is no store in `test_places.py`.
"""

import asyncio
import gc
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from daprflow.protocol import workflow_messages as wf
from daprflow.protocol.configuration_file import NamedLimit, WorkflowConfiguration
from daprflow.sidecar.workflows.instance import Instance
from tests.helpers.scripted_worker import Stage, again, end, task, timer
from tests.helpers.workflow_rows import START, opened, reply, restart, start, status

FULL = "PRAGMA max_page_count = 1"
ROOMY = "PRAGMA max_page_count = 1000000"


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """An engine."""
    async with opened(tmp_path) as stage:
        yield stage


# ---- limits -------------------------------------------------------------------------------------


@pytest.mark.row("I-WF6")
async def test_workflows_of_one_name(stage: Stage) -> None:
    """I-WF6: no more turns of one workflow are given out than its name may have, others pass it."""
    settings = WorkflowConfiguration(workflow_limits=(NamedLimit("slow", 1),))
    stage.hub.host("app1").settings = settings
    workers = [stage.worker(), stage.worker()]
    for number in range(3):
        await start(stage, f"slow{number}", "slow")
    for number in range(2):
        await start(stage, f"fast{number}", "fast")
    taken = [await workers[0].turn(), await workers[1].turn(), await workers[0].turn()]
    assert [item.workflowRequest.instanceId for item in taken] == ["slow0", "fast0", "fast1"]
    assert await workers[0].nothing()
    assert await workers[1].nothing()
    for number in range(3):
        await reply(stage, taken[0], end(1))
        assert await status(stage, f"slow{number}") == "COMPLETED"
        if number < 2:
            taken[0] = await workers[1].turn()
            assert taken[0].workflowRequest.instanceId == f"slow{number + 1}"


@pytest.mark.row("I-WF6")
async def test_activities_of_one_name(stage: Stage, tmp_path: Path) -> None:
    """I-WF6: the same holds for activities, also when a worker is lost, and after a restart."""
    settings = WorkflowConfiguration(activity_limits=(NamedLimit("a", 2),))
    stage.hub.host("app1").settings = settings
    worker = stage.worker()
    await start(stage)
    actions = [task(number) for number in range(1, 6)]
    await worker.answer(await worker.turn(), *actions, task(6, "b"))
    assert [(await worker.task()).activityRequest.taskId for _ in range(3)] == [1, 2, 6]
    assert await worker.nothing()
    worker.leave()
    await restart(stage, tmp_path)
    stage.hub.host("app1").settings = settings
    worker = stage.worker()
    items = [await worker.task() for _ in range(3)]
    assert [item.activityRequest.taskId for item in items] == [1, 2, 6]
    assert await worker.nothing()
    worker.leave()
    worker = stage.worker()
    seen: list[int] = []
    under_way: list[wf.WorkItem] = []
    while len(seen) < 6:
        if await worker.nothing(rounds=5):
            done = under_way.pop(0)
            seen.append(done.activityRequest.taskId)
            await worker.done(done)
            continue
        item = await worker.take()
        if item.HasField("workflowRequest"):
            await worker.answer(item)
            continue
        under_way.append(item)
        named = [each for each in under_way if each.activityRequest.name == "a"]
        assert len(named) <= 2
    assert sorted(seen) == [1, 2, 3, 4, 5, 6]


@pytest.mark.row("I-WF6")
async def test_what_waits_behind_what_is_purged(stage: Stage) -> None:
    """I-WF6: a limit keeps nothing waiting for an instance that is purged."""
    stage.hub.host("app1").settings = WorkflowConfiguration(workflow_limits=(NamedLimit("w", 1),))
    worker = stage.worker()
    for number in range(3):
        await start(stage, f"i{number}")
    await worker.turn()
    assert await worker.nothing()
    for name in ("i1", "i0"):
        await stage.workflows().purge(name, recursive=False, force=True)
    assert (await worker.turn()).workflowRequest.instanceId == "i2"


# ---- disk ---------------------------------------------------------------------------------------


@pytest.mark.row("I-WF6")
async def test_a_disk_that_is_full_for_a_while(stage: Stage) -> None:
    """I-WF6: what could not be written while a disk was full is done when there is space again."""
    database = stage.engine.database
    assert database is not None
    worker = stage.worker()
    for number in range(5):
        await start(stage, f"i{number}")
        await worker.answer(await worker.turn(), timer(1, START + 10))
    await database.writer.run(lambda connection: connection.execute(FULL).fetchone())
    stage.clock.move_to(START + 11)
    for _ in range(3):  # each attempt fails, a second apart
        failed = 0
        while not await worker.nothing(rounds=5):
            item = await worker.turn()
            outcome = await asyncio.gather(
                worker.answer(item, end(2, "x" * 200_000)), return_exceptions=True
            )
            failed += isinstance(outcome[0], Exception)
        assert failed
        stage.clock.move_to(stage.clock.now() + 1.5)
    await database.writer.run(lambda connection: connection.execute(ROOMY).fetchone())
    while not await worker.nothing():
        await worker.answer(await worker.turn(), end(2))
    assert [await status(stage, f"i{number}") for number in range(5)] == ["COMPLETED"] * 5


# ---- memory -------------------------------------------------------------------------------------


def _in_memory() -> int:
    gc.collect()
    return sum(isinstance(each, Instance) for each in gc.get_objects())


@pytest.mark.row("I-WF6")
async def test_what_is_over_takes_no_memory(stage: Stage) -> None:
    """I-WF6: finished instances, and executions that began anew, leave nothing in memory."""
    worker = stage.worker(stateful=True)
    before = _in_memory()
    for number in range(50):
        await start(stage, f"i{number}")
        await worker.answer(await worker.turn(), task(1))
        await worker.done(await worker.task())
        await worker.answer(await worker.turn(), again(2))
        await worker.answer(await worker.turn(), end(1))
        await status(stage, f"i{number}")
    await asyncio.sleep(0)
    assert _in_memory() - before <= 1
