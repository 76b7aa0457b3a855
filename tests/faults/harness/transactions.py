"""G2: no accepted transaction is lost or torn, by a kill or by a power cut."""

import asyncio
import contextlib
import itertools
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from daprflow.sidecar.components.base import Message, PubSub, StateStore, StateWrite, StoredValue
from daprflow.sidecar.components.registry import COMPONENTS
from tests.faults.harness.checkers import Pair, lost_events, wrong_pairs
from tests.faults.harness.disk import Disk, Mark, Op, reachable
from tests.faults.harness.goals import Goal, Measure, Result, Size
from tests.faults.harness.images import told, write_image
from tests.faults.harness.scratch import scratch_folder
from tests.faults.harness.writing import WRITERS, write_pairs
from tests.helpers.writer_process import CONSUMER, TOPIC, made_from, never


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is done."""

    transactions: int
    kills: int
    recorded: int
    images: int


def store_in(folder: Path) -> StateStore:
    """Return the store of a folder, not opened yet."""
    return cast("StateStore", COMPONENTS["state.sqlite"](made_from(folder, "state.sqlite")))


def broker_in(folder: Path) -> PubSub:
    """Return the broker of a folder, not opened yet."""
    return cast("PubSub", COMPONENTS["pubsub.daprflow"](made_from(folder, "pubsub.daprflow")))


async def read_pairs(store: StateStore) -> dict[str, Pair]:
    """Return what every writer's pair is."""
    names = [str(number) for number in range(WRITERS)]
    keys = [f"{side}{name}" for name in names for side in ("left", "right")]
    values = iter(await store.get_many(keys))
    return {name: Pair(_number(next(values)), _number(next(values))) for name in names}


def _number(value: object) -> int | None:
    return int(value.data) if isinstance(value, StoredValue) else None


def accepted_pairs(lines: Sequence[str], before: Mapping[str, int]) -> dict[str, int]:
    """Return the last accepted transaction of each writer, by what was told."""
    last = dict(before)
    for line in lines:
        name, _, number = line.partition(" ")
        last[name] = int(number)
    return last


# ---- kills --------------------------------------------------------------------------------------


async def killed_again_and_again(
    plan: Plan, folder: Path, chance: random.Random, result: Result
) -> tuple[int, float]:
    """Let a process write, kill it, look; return how much it was and how much a second."""
    last: dict[str, int] = {str(number): 0 for number in range(WRITERS)}
    written, seconds = 0, 0.0
    for _ in range(plan.kills):
        want = max(1, round(plan.transactions / plan.kills * chance.uniform(1.0, 1.2)))
        lines, took = await write_pairs(folder, want)
        written, seconds = written + len(lines), seconds + took
        last = accepted_pairs(lines, last)
        store = store_in(folder)
        await store.open()
        found = await read_pairs(store)
        await store.close()
        result.problems += wrong_pairs(last, found)
        last = {name: pair.left or 0 for name, pair in found.items()}
    return written, written / seconds


# ---- power cuts ---------------------------------------------------------------------------------


async def recorded_run(count: int, folder: Path) -> list[Op | Mark]:
    """Do transactions and publish events; return what was written and what was told meanwhile."""
    numbers = itertools.count(1)
    with Disk() as disk:
        store, broker = store_in(folder), broker_in(folder)
        await store.open()
        await broker.open()
        stop = await broker.subscribe(TOPIC, CONSUMER, {}, never)

        async def write(name: int) -> None:
            for number in range(1, count // WRITERS + 1):
                data = b"%d" % number
                both = (StateWrite(f"left{name}", data), StateWrite(f"right{name}", data))
                await store.transact(both)
                disk.mark(f"{name} {number}")
                event = next(numbers)
                await broker.publish(Message(TOPIC, b"%d" % event))
                disk.mark(f"event {event}")

        await asyncio.gather(*(write(name) for name in range(WRITERS)))
        recorded = list(disk.recorded)
        disk.recording = False
        stopping = asyncio.ensure_future(stop())
        for task in asyncio.all_tasks():
            if getattr(task.get_coro(), "__name__", "") == "_work":
                task.cancel()
        await asyncio.wait({stopping})
        await broker.close()
        await store.close()
    return recorded


async def image_problems(recorded: Sequence[Op | Mark], moment: int, seed: int) -> list[str]:
    """Make an image of a moment, open it, and say what of that which was told is not there."""
    with scratch_folder() as name:
        folder = Path(name)
        write_image(recorded, moment, random.Random(seed), folder)  # noqa: S311 - a model
        lines = told(recorded, moment)
        pairs = accepted_pairs(
            [line for line in lines if not line.startswith("event")],
            {str(number): 0 for number in range(WRITERS)},
        )
        events = {int(line.partition(" ")[2]) for line in lines if line.startswith("event")}
        store = store_in(folder)
        await store.open()
        found = await read_pairs(store)
        await store.close()
        problems = [*wrong_pairs(pairs, found), *lost_events(events, await waiting(folder, events))]
        return [f"power cut at {moment}, seed {seed}: {each}" for each in problems]


async def waiting(folder: Path, wanted: set[int]) -> set[int]:
    """Return the events that wait in a broker's file; those that are wanted, or all within 2 s."""
    got: set[int] = set()
    complete = asyncio.Event()

    async def receive(message: Message) -> None:
        got.add(int(message.data))
        if wanted <= got:
            complete.set()

    broker = broker_in(folder)
    await broker.open()
    stop = await broker.subscribe(TOPIC, CONSUMER, {}, receive)
    if wanted:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(complete.wait(), 2.0)
    await stop()
    await broker.close()
    return got


def moments(recorded: Sequence[Op | Mark], count: int, chance: random.Random) -> Iterator[int]:
    """Return moments to look at: half at any time, half just after something was told."""
    marks = [number + 1 for number, each in enumerate(recorded) if isinstance(each, Mark)]
    for number in range(count):
        yield chance.choice(marks) if number % 2 else chance.randint(0, len(recorded))


async def run(plan: Plan, folder: Path, seed: int) -> Result:
    """Kill what writes, and cut its power."""
    chance = random.Random(seed)  # noqa: S311 - it decides when to kill
    result = Result()
    killed, cut = folder / "killed", folder / "cut"
    killed.mkdir()
    cut.mkdir()
    written, rate = await killed_again_and_again(plan, killed, chance, result)
    result.counts = {"transactions": written, "kills": plan.kills}
    result.measures.append(Measure("accepted transactions a second", rate, "", least=2_000))
    if reachable():
        recorded = await recorded_run(plan.recorded, cut)
        for number, moment in enumerate(moments(recorded, plan.images, chance)):
            result.problems += await image_problems(recorded, moment, seed + number)
        result.counts = {**result.counts, "crash images": plan.images}
    return result


GOAL = Goal(
    "G2",
    "no accepted state write is lost or torn, by a kill or by a power cut",
    {
        Size.QUICK: Plan(1_000, 2, 200, 30),
        Size.FULL: Plan(20_000, 50, 800, 500),
        Size.SOAK: Plan(400_000, 500, 4_000, 10_000),
    },
    run,
    alone=True,
)
