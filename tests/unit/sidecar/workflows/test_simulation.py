"""Random runs of workflows with crashes, lost workers, duplicates and delays: all end exactly."""

import random
import shutil
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from daprflow.protocol import workflow_messages as wf
from daprflow.sidecar.clock import VirtualClock
from tests.helpers.scripted_worker import (
    ScriptedWorker,
    Stage,
    open_stage,
)
from tests.helpers.stepping_workflow import ACTIVITIES, EXPECTED, actions_of, history_of

SEEDS = 12
INSTANCES = 6
START = 1_700_000_000.0


@dataclass(slots=True)
class Run:
    """One seeded run."""

    root: Path
    chance: random.Random
    stage: Stage
    worker: ScriptedWorker
    crashes: int = 0
    losses: int = 0
    held: list[wf.WorkItem] = field(default_factory=list)
    answered: list[wf.WorkItem] = field(default_factory=list)
    executed: Counter[tuple[str, str]] = field(default_factory=Counter)

    async def step(self) -> None:
        """Do one thing, whichever comes up."""
        if self.held and self.chance.random() < 0.6:
            await self.answer(self.held.pop(self.chance.randrange(len(self.held))))
            return
        what = self.chance.random()
        if what < 0.02:
            await self.crash()
        elif what < 0.04:
            self.worker.leave()
            self.losses += 1
            self.worker = self.stage.worker()
        elif what < 0.08 and self.answered:
            await self.answer(self.chance.choice(self.answered))
        elif await self.worker.nothing(3):
            self.advance()
        else:
            self.held.append(await self.worker.take())

    async def answer(self, item: wf.WorkItem) -> None:
        """Answer an item, whether or not somebody still waits for it."""
        self.answered = [*self.answered[-20:], item]
        if item.HasField("activityRequest"):
            request = item.activityRequest
            self.executed[request.workflowInstance.instanceId, item.completionToken] += 1
            await self.worker.done(item)
        else:
            await self.worker.answer(item, *actions_of(history_of(item)))

    def advance(self) -> None:
        """Let time pass to what is due next."""
        due = self.stage.clock.due()
        if due is not None:
            self.stage.clock.move_to(due)

    async def crash(self) -> None:
        """Go on with what is on the disk at this moment, and nothing else."""
        self.crashes += 1
        root = self.root / f"after {self.crashes}"
        shutil.copytree(self.stage.engine.data_dir or self.root, root, ignore=_folders)
        await self.stage.engine.close()
        self.stage = await open_stage(root, self.stage.clock)
        self.worker = self.stage.worker()


def _folders(_folder: str, names: list[str]) -> list[str]:
    return [name for name in names if name.startswith("after")]


async def is_over(stage: Stage) -> bool:
    """Tell whether every instance ended, and check how."""
    for number in range(INSTANCES):
        state = await stage.workflows().get(f"i{number}", payloads=True)
        assert state is not None
        if state.workflowStatus != wf.ORCHESTRATION_STATUS_COMPLETED:
            return False
        assert state.output.value == EXPECTED
    return True


@pytest.mark.parametrize("seed", range(SEEDS))
async def test_every_workflow_ends_exactly(seed: int, tmp_path: Path) -> None:
    """Whatever is lost or comes twice, each instance ends with its result, and none is stuck."""
    stage = await open_stage(tmp_path, VirtualClock(START))
    run = Run(tmp_path, random.Random(seed), stage, stage.worker())  # noqa: S311 - no secret
    for number in range(INSTANCES):
        request = wf.CreateInstanceRequest(instanceId=f"i{number}", name="w")
        request.input.value = "1,0"
        await stage.workflows().start(request)
    for number in range(5000):
        await run.step()
        if number % 50 == 0 and await is_over(run.stage):
            break
    assert await is_over(run.stage), f"stuck with seed {seed}"
    assert len(run.executed) == INSTANCES * ACTIVITIES
    await run.stage.engine.close()
