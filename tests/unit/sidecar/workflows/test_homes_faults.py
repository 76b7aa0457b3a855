"""Workflows in a state store that fails, and in processes that end between two writes."""

import contextlib
import random
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from daprflow.protocol import workflow_messages as wf
from daprflow.sidecar.clock import VirtualClock
from daprflow.sidecar.components.base import ComponentError
from daprflow.sidecar.components.state_in_memory import InMemoryState
from tests.helpers.components import context
from tests.helpers.faulty_store import AFTER, BEFORE, KILLED_AFTER, KILLED_BEFORE, FaultyStore
from tests.helpers.scripted_worker import ScriptedWorker, Stage, open_stage
from tests.helpers.stepping_workflow import ACTIVITIES, EXPECTED, actions_of, history_of

START = 1_700_000_000.0
INSTANCES = 3
ROUNDS = 4000


class Bench:
    """Instances that are brought to their ends through one process after the other."""

    def __init__(self, root: Path, fault: Callable[[str], str]) -> None:
        self.root = root
        self.clock = VirtualClock(START)
        self.inner = InMemoryState(context(root, self.clock, "state.in-memory"))
        self.fault = fault
        self.ended = 0
        self.executed: Counter[tuple[str, int]] = Counter()
        self.store: FaultyStore
        self.stage: Stage
        self.worker: ScriptedWorker

    async def open(self, folder: Path) -> None:
        """Begin a process on what the last one left."""
        self.store = FaultyStore(self.inner, lambda _: "")
        self.stage = await open_stage(folder, self.clock, self.store)
        self.store = FaultyStore(self.inner, self.fault)
        self.stage.store = self.store
        for app_id in ("app1", "app2"):
            while True:
                with contextlib.suppress(ComponentError):
                    await self.stage.come(app_id)
                    break
                if self.store.cut:
                    return
        self.worker = self.stage.worker()

    async def start(self) -> None:
        """Start the instances; what is refused is asked for again."""
        for number in range(INSTANCES):
            request = wf.CreateInstanceRequest(instanceId=f"i{number}", name="w")
            request.input.value = "1,0"
            while await self.state(number) is None:
                with contextlib.suppress(ComponentError):
                    await self.stage.workflows().start(request)
                await self.go_on()

    async def state(self, number: int) -> wf.WorkflowState | None:
        """Return the state of an instance, from the process that can tell it."""
        while True:
            with contextlib.suppress(ComponentError):
                return await self.stage.workflows().get(f"i{number}", payloads=True)
            await self.go_on()

    async def go_on(self) -> None:
        """Take the place of a process that was killed."""
        while self.store.cut:
            self.ended += 1
            folder = self.root / f"after {self.ended}"
            before = self.stage.engine.data_dir or self.root
            shutil.copytree(before, folder, ignore=shutil.ignore_patterns("after*"))
            await self.stage.engine.close()
            await self.open(folder)

    async def step(self) -> None:
        """Do one thing that is to be done, or let time pass."""
        if await self.worker.nothing(3):
            due = self.clock.due()
            if due is not None:
                self.clock.move_to(due)
        else:
            item = await self.worker.take()
            with contextlib.suppress(ComponentError):
                await self.answer(item)
        await self.go_on()

    async def answer(self, item: wf.WorkItem) -> None:
        """Do what an item asks for."""
        if item.HasField("activityRequest"):
            request = item.activityRequest
            name = request.workflowInstance.instanceId
            self.executed[f"{name} {item.completionToken}", request.taskId] += 1
            await self.worker.done(item)
        else:
            await self.worker.answer(item, *actions_of(history_of(item)))

    async def run(self) -> None:
        """Bring every instance to its end."""
        await self.open(self.root)
        await self.start()
        for _ in range(ROUNDS):
            await self.step()
            if [await self.output(number) for number in range(INSTANCES)] == [EXPECTED] * INSTANCES:
                break
        assert [await self.output(number) for number in range(INSTANCES)] == [EXPECTED] * INSTANCES
        await self.stage.engine.close()

    async def output(self, number: int) -> str:
        """Return the result of an instance."""
        state = await self.state(number)
        assert state is not None, f"i{number} is lost"
        return state.output.value


@pytest.mark.parametrize("seed", range(6))
async def test_whatever_a_store_does(seed: int, tmp_path: Path) -> None:
    """Every instance ends with its result, though its store fails and processes are killed."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    faults = [BEFORE, AFTER, KILLED_BEFORE, KILLED_AFTER]

    def fault(_call: str) -> str:
        return chance.choice(faults) if chance.random() < 0.04 else ""

    bench = Bench(tmp_path, fault)
    await bench.run()
    assert bench.ended
    assert len(bench.executed) >= INSTANCES * ACTIVITIES


@pytest.mark.row("FS-03", "R-15")
@pytest.mark.parametrize("when", [KILLED_BEFORE, KILLED_AFTER])
async def test_killed_at_each_write(when: str, tmp_path: Path) -> None:
    """A process that ends before or after any one write loses nothing and repeats one thing."""
    for place in range(1, 40, 3):
        calls = [0]

        def fault(call: str, calls: list[int] = calls, place: int = place) -> str:
            calls[0] += call == "transact"
            return when if call == "transact" and calls[0] == place else ""

        bench = Bench(tmp_path / str(place), fault)
        bench.root.mkdir()
        await bench.run()
        assert bench.ended == 1
        assert bench.executed.total() <= INSTANCES * ACTIVITIES + 3
