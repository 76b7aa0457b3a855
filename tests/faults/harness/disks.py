"""G21: a full or failing disk is told, loses nothing that was accepted, and is got over."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from daprflow.sidecar.components.base import ComponentError, Message, StateStore, StateWrite
from tests.faults.harness.checkers import lost_events, wrong_pairs
from tests.faults.harness.disk import FULL, SYNC_FAILED, WRITE_FAILED, Act, Disk, Op, reachable
from tests.faults.harness.goals import Goal, Result, Size
from tests.faults.harness.quiet import quiet
from tests.faults.harness.scratch import scratch_folder
from tests.faults.harness.transactions import broker_in, read_pairs, store_in, waiting
from tests.faults.harness.writing import WRITERS
from tests.helpers.writer_process import TOPIC

LASTS = 5
"""So many operations fail, one after the other; then there is space again."""
KINDS = ("full", "write fails", "sync fails")
ACTS = {"full": (Act.WRITE,), "write fails": (Act.WRITE,), "sync fails": (Act.SYNC,)}
CODES = {"full": FULL, "write fails": WRITE_FAILED, "sync fails": SYNC_FAILED}


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is done.

    Attributes:
        steps: of the scenario: transactions, and as many events.
        every: at which operations something fails: 1 for each, 10 for each tenth.
    """

    steps: int
    every: int


@dataclass(slots=True)
class Steps:
    """What was done to a store and a broker, and what was accepted of it."""

    last: dict[str, int] = field(default_factory=lambda: dict.fromkeys(map(str, range(WRITERS)), 0))
    events: set[int] = field(default_factory=set)
    refused: int = 0
    wrong: list[str] = field(default_factory=list)

    async def transaction(self, store: StateStore, number: int) -> bool:
        """Write the next pair; return whether it was accepted."""
        name = str(number % WRITERS)
        data = b"%d" % (self.last[name] + 1)
        both = (StateWrite(f"left{name}", data), StateWrite(f"right{name}", data))
        if await self._told(store.transact, both):
            self.last[name] += 1
            return True
        return False

    async def event(self, broker: object, number: int) -> bool:
        """Publish an event; return whether it was accepted."""
        if await self._told(broker.publish, Message(TOPIC, b"%d" % number)):  # type: ignore[attr-defined]
            self.events.add(number)
            return True
        return False

    async def _told(self, call: Callable[..., object], *arguments: object) -> bool:
        try:
            await call(*arguments)  # type: ignore[misc]
        except ComponentError as error:
            self.refused += 1
            if "/" not in str(error):
                self.wrong.append(f"an error names no file: {error}")
            return False
        return True


def failing(kind: str, first: int, disk: Disk) -> Callable[[Op], int]:
    """Return what fails operations of a kind, from the one with a number on."""

    def fault(op: Op) -> int:
        hit = op.act in ACTS[kind] and first < disk.count <= first + LASTS
        return CODES[kind] if hit else 0

    return fault


async def scenario(folder: Path, steps: int, disk: Disk, begin: Callable[[], None]) -> Steps:
    """Do all steps; at the end everything must work again without a restart."""
    done = Steps()
    store, broker = store_in(folder), broker_in(folder)
    await store.open()
    await broker.open()
    stop = await broker.subscribe(TOPIC, "reader", {}, _later)
    await stop()
    begin()
    for number in range(steps):
        await done.transaction(store, number)
        await done.event(broker, number)
    again = [await done.transaction(store, 0), await done.event(broker, steps)]
    for _ in range(2 * LASTS):
        if all(again):
            break
        again = [await done.transaction(store, 0), await done.event(broker, steps)]
    if not all(again):
        done.wrong.append("nothing is accepted though the disk works again")
    await broker.close()
    await store.close()
    disk.recording = False
    return done


async def _later(_: Message) -> None:
    await asyncio.Event().wait()


async def fault_problems(kind: str, first: int, steps: int) -> tuple[int, list[str]]:
    """Have the disk fail from an operation on; return how often it was told, and what is wrong."""
    with scratch_folder() as name:
        folder = Path(name)
        with Disk(recording=False) as disk:

            def begin() -> None:
                disk.count = 0
                disk.fault = failing(kind, first, disk)

            done = await scenario(folder, steps, disk, begin)
        store = store_in(folder)
        await store.open()
        found = await read_pairs(store)
        await store.close()
        events = await waiting(folder, done.events)
    problems = [*done.wrong, *wrong_pairs(done.last, found), *lost_events(done.events, events)]
    return done.refused, [f"{kind} from operation {first} on: {each}" for each in problems]


async def operations_of(steps: int) -> int:
    """Return how many operations the scenario is."""
    with scratch_folder() as name, Disk(recording=False) as disk:

        def begin() -> None:
            disk.count = 0

        await scenario(Path(name), steps, disk, begin)
        return disk.count


async def run(plan: Plan, folder: Path, seed: int) -> Result:
    """Let every write and every sync of the scenario fail, one after the other."""
    if not reachable():
        return Result({"operations, for this Python's SQLite is not to be reached": 0})
    chance = random.Random(seed)  # noqa: S311 - it decides where to begin
    result = Result()
    told = faults = 0
    with quiet():
        operations = await operations_of(plan.steps)
        for kind in KINDS:
            for first in range(chance.randrange(plan.every), operations, plan.every):
                refused, problems = await fault_problems(kind, first, plan.steps)
                told += refused
                faults += 1
                result.problems += problems
    result.counts = {
        "steps": 2 * plan.steps,
        "operations": operations,
        "faults": faults,
        "told": told,
    }
    return result


GOAL = Goal(
    "G21",
    "a full or failing disk is told, loses nothing, and is got over without a restart",
    {Size.QUICK: Plan(10, 20), Size.FULL: Plan(50, 1), Size.SOAK: Plan(250, 1)},
    run,
)
