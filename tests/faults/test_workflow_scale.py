"""Workflows with long histories, and many at one time, cost no more than there is of them."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.helpers.scripted_worker import ScriptedWorker, Stage, end, open_stage, task
from tests.helpers.workflow_rows import start, status

TURNS = 245
FAN = 20
"""Activities that each turn begins."""
EDGE = 40
INSTANCES = 1_000
TIMES = 3.0
"""How many times as long the last turns of a history may take as the first ones."""


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """An engine."""
    made = await open_stage(tmp_path)
    yield made
    await made.engine.close()


async def go_on(worker: ScriptedWorker, number: int) -> None:
    """Let an instance make a turn, and end the activities that it begins."""
    first = number * FAN + 1
    turn = await worker.turn()
    await worker.answer(turn, *(task(each) for each in range(first, first + FAN)))
    activities = [await worker.task() for _ in range(FAN)]
    await asyncio.gather(*(worker.done(each) for each in activities))


@pytest.mark.row("FS-26")
async def test_a_long_history_is_not_gone_through_at_each_turn(stage: Stage) -> None:
    """Of 10,000 events the last turn takes about as long as the first, and all are there."""
    worker = stage.worker(stateful=True)
    await start(stage)
    took: list[float] = []
    for number in range(TURNS):
        begun = time.process_time()
        await go_on(worker, number)
        took.append(time.process_time() - begun)
    history = await stage.workflows().history("i1")
    assert len(history) >= 10_000
    first, last = sorted(took[:EDGE])[EDGE // 2], sorted(took[-EDGE:])[EDGE // 2]
    assert last < TIMES * first, (first, last)
    await worker.answer(await worker.turn(), end(TURNS * FAN + 1))
    assert await status(stage) == "COMPLETED"


@pytest.mark.row("FS-26")
async def test_many_instances_end_each_once(stage: Stage) -> None:
    """A thousand that all began are at work at one time; the last one to begin may end first."""
    worker = stage.worker(stateful=True)
    ids = [f"i{number}" for number in range(INSTANCES)]
    await asyncio.gather(*(start(stage, each) for each in ids))
    turns = [await worker.turn() for _ in ids]
    await asyncio.gather(*(worker.answer(turn, task(1)) for turn in turns))
    activities = [await worker.task() for _ in ids]
    await asyncio.gather(*(worker.done(each) for each in reversed(activities)))
    turns = [await worker.turn() for _ in ids]
    assert {turn.workflowRequest.instanceId for turn in turns} == set(ids)
    await asyncio.gather(*(worker.answer(turn, end(2)) for turn in turns))
    assert await worker.nothing()
    found = Counter([await status(stage, each) for each in ids])
    assert found == {"COMPLETED": INSTANCES}
