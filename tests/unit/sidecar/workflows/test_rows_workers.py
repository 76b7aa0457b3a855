"""Row I-WF5 of the regression pack: workers that come and go, and what no worker can do.

Items of a worker that is lost in the middle of them are in `test_hub.py`.
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from daprflow.protocol import workflow_messages as wf
from daprflow.sidecar.workflows.problems import WorkflowProblem
from tests.helpers.scripted_worker import ScriptedWorker, Stage, end, open_stage, task, timer
from tests.helpers.workflow_rows import (
    START,
    begin,
    history,
    new_kinds,
    opened,
    raise_event,
    reply,
    restart,
    start,
    state_of,
    status,
    terminate,
    waiting_for,
)

LIMIT = 20_000
REFUSED = "failed to invoke method for workflow 'i1': actor is stalled"


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """An engine."""
    async with opened(tmp_path) as stage:
        yield stage


# ---- workers that come and go -------------------------------------------------------------------


@pytest.mark.row("I-WF5", "R-04")
async def test_instances_wait_for_a_worker_to_return(stage: Stage) -> None:
    """I-WF5: without a worker timers and results wait; with one all goes on, and nothing twice."""
    worker = stage.worker()
    await start(stage)
    await worker.answer(await worker.turn(), timer(1, START + 5), task(2))
    activity = await worker.task()
    await worker.done(activity)
    worker.leave()
    stage.clock.move_to(START + 60)
    for _ in range(3):
        stage.worker().leave()
    worker = stage.worker()
    seen: list[str] = []
    while len(seen) < 2:
        turn = await worker.turn()
        seen += new_kinds(turn)
        await worker.answer(turn)
    assert sorted(seen) == ["taskCompleted", "timerFired"]
    assert await worker.nothing()


@pytest.mark.row("I-WF5")
async def test_several_workers_share(stage: Stage) -> None:
    """I-WF5: each item goes to one of the workers, and nobody has everything while others wait."""
    workers = [stage.worker() for _ in range(3)]
    taken: list[list[str]] = [[], [], []]

    async def work(worker: ScriptedWorker, mine: list[str]) -> None:
        while True:
            item = await worker.take()
            if item.HasField("activityRequest"):
                mine.append(item.activityRequest.workflowInstance.instanceId)
                await asyncio.sleep(0.001)
                await worker.done(item)
            else:
                ends = "taskCompleted" in new_kinds(item)
                await worker.answer(item, end(2) if ends else task(1))

    working = [asyncio.create_task(work(*pair)) for pair in zip(workers, taken, strict=True)]
    ids = [f"i{number}" for number in range(30)]
    await asyncio.gather(*(start(stage, instance_id) for instance_id in ids))
    for instance_id in ids:
        await stage.workflows().completed(instance_id, payloads=False)
    for each in working:
        each.cancel()
    await asyncio.wait(working)
    assert sorted(name for mine in taken for name in mine) == sorted(ids)
    assert all(taken)


# ---- stalling -----------------------------------------------------------------------------------


def no_version(number: int) -> wf.WorkflowAction:
    """Return the action of a worker that does not have the version."""
    action = wf.WorkflowAction(id=number)
    action.workflowVersionNotAvailable.SetInParent()
    return action


async def _stalled(stage: Stage, why: str) -> ScriptedWorker:
    """Return the worker with which an instance stalled."""
    worker = stage.worker()
    await start(stage)
    await reply(
        stage, await worker.turn(), waiting_for(1, "go"), patches=("p1", "p2"), version="v1"
    )
    await raise_event(stage, "i1", "go")
    turn = await worker.turn()
    if why == "version":
        await worker.answer(turn, no_version(2))
    else:
        await reply(stage, turn, end(2), patches=("p2",))
    return worker


REASONS = {
    "version": (wf.VERSION_NOT_AVAILABLE, "Version not available: v1"),
    "patch": (
        wf.PATCH_MISMATCH,
        "Patch mismatch. History patches: [p1, p2], current patches: [p2]. ",
    ),
}


@pytest.mark.row("FA-31", "I-WF5")
@pytest.mark.parametrize("why", REASONS)
async def test_code_that_is_missing(stage: Stage, tmp_path: Path, why: str) -> None:
    """I-WF5, FA-31: where code is missing an instance stalls, says why, and loses nothing by it."""
    worker = await _stalled(stage, why)
    assert await status(stage) == "STALLED"
    assert await worker.nothing()
    last = (await stage.workflows().history("i1"))[-1].executionStalled
    assert (last.reason, last.description) == REASONS[why]
    for again in range(2):  # others that cannot go on either say nothing new
        if again:
            await restart(stage, tmp_path)
        worker = stage.worker()
        turn = await worker.turn()
        assert new_kinds(turn) == ["eventRaised"]
        if why == "version":
            await worker.answer(turn, no_version(2))
        else:
            await reply(stage, turn, patches=("p2",))
    assert (await history(stage)).count("executionStalled") == 1
    able = stage.worker()
    turn = await able.turn()
    await reply(stage, turn, end(2), patches=("p1", "p2", "p3"), version="v1")
    assert await status(stage) == "COMPLETED"
    assert (await state_of(stage)).version.value == "v1"


@pytest.mark.row("I-WF5", "R-04")
@pytest.mark.parametrize("why", REASONS)
async def test_what_can_be_done_with_a_stalled_instance(stage: Stage, why: str) -> None:
    """I-WF5: a stalled instance refuses what it cannot take, as a real one; force purges it."""
    worker = await _stalled(stage, why)
    workflows = stage.workflows()
    for refused in (
        workflows.raise_event("i1", "e", None),
        workflows.suspend("i1", "", wait=True),
        workflows.resume("i1", "", wait=True),
        workflows.terminate("i1", None, recursive=True, wait=True),
        workflows.purge("i1", recursive=False, force=False),
    ):
        with pytest.raises(WorkflowProblem) as raised:
            await refused
        assert str(raised.value) == REFUSED
    with pytest.raises(WorkflowProblem, match="orchestration has not yet completed"):
        await workflows.purge("i1", recursive=True, force=False)
    assert await workflows.purge("i1", recursive=True, force=True) == 1
    assert await status(stage) == ""
    await begin(stage, worker, "i1")
    assert await status(stage) == "RUNNING"


@pytest.mark.row("I-WF5")
async def test_a_stalled_instance_is_terminated_with_a_worker_that_can(stage: Stage) -> None:
    """I-WF5: as soon as a worker has it in hands that can go on, an instance may be terminated."""
    await _stalled(stage, "version")
    able = stage.worker()
    turn = await able.turn()
    await terminate(stage)
    await reply(stage, turn, patches=("p1", "p2"), version="v1")
    turn = await able.turn()
    assert new_kinds(turn) == ["executionTerminated"]
    await reply(stage, turn, patches=("p1", "p2"), version="v1")
    assert await status(stage) == "TERMINATED"


@pytest.mark.row("I-WF5", "R-14")
@pytest.mark.parametrize("stateful", [False, True])
@pytest.mark.parametrize("cause", ["inbox", "history", "activity"])
async def test_too_much_for_a_message(
    stage: Stage, tmp_path: Path, cause: str, *, stateful: bool
) -> None:
    """I-WF5: beyond 95 % of a message an instance stalls, alone, until more is allowed."""
    worker = stage.worker(stateful=stateful, limit=LIMIT)
    await begin(stage, worker, "other")
    await start(stage)
    turn = await worker.turn()
    large = task(1)
    large.scheduleTask.input.value = "x" * LIMIT
    if cause == "activity":
        await worker.answer(turn, large)
    else:
        await worker.answer(turn, waiting_for(1, "go"))
        pieces = 1 if cause == "inbox" else 8
        for _ in range(pieces):
            await raise_event(stage, "i1", "e", "x" * (LIMIT * 97 // 100 // pieces))
            if pieces > 1 and not await worker.nothing():
                await worker.answer(await worker.turn())
    assert await worker.nothing()
    assert await status(stage) == "STALLED"
    last = (await stage.workflows().history("i1"))[-1].executionStalled
    assert last.reason == wf.PAYLOAD_SIZE_EXCEEDED
    assert "exceeds 95% of max gRPC body size 20000 bytes; increase daprd --max-body-size" in (
        last.description
    )
    await raise_event(stage, "other", "go")
    await worker.answer(await worker.turn(), end(2))
    assert await status(stage, "other") == "COMPLETED"
    await restart(stage, tmp_path)
    worker = stage.worker(stateful=stateful, limit=4 * LIMIT)
    turn = await worker.turn()
    assert turn.workflowRequest.instanceId == "i1"
    if cause == "activity":
        await worker.answer(turn, large)
        await worker.done(await worker.task())
        turn = await worker.turn()
    await worker.answer(turn, end(2))
    assert await status(stage) == "COMPLETED"


@pytest.mark.row("I-WF5")
async def test_just_below_the_limit(tmp_path: Path) -> None:
    """I-WF5: 95 % of a message is what a turn may fill, to the byte."""
    async with opened(tmp_path) as stage:
        worker = stage.worker()
        await start(stage)
        turn = await worker.turn()
        size = sum(event.ByteSize() for event in turn.workflowRequest.newEvents[1:])
        worker.leave()
        limit = -(-size * 100 // 95)
        assert await stage.worker(limit=limit - 2).nothing()
        assert await status(stage) == "STALLED"
    stage = await open_stage(tmp_path / "other")
    worker = stage.worker(limit=limit)
    await start(stage)
    assert new_kinds(await worker.turn()) == ["executionStarted"]
    await stage.engine.close()
