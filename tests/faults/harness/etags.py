"""G13: writers with ETags never lose a write, and everybody sees one order of them."""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from daprflow.sidecar.components.base import EtagConflict, StateStore, StateWrite
from daprflow.sidecar.components.registry import COMPONENTS
from tests.faults.harness.checkers import Operation, not_linearizable
from tests.faults.harness.goals import Goal, Result, Size
from tests.helpers.writer_process import made_from

KEY = "register"
IN_MEMORY = "state.sqlite in memory"
BACKENDS = ("state.in-memory", "state.sqlite", IN_MEMORY)


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is done."""

    writers: int
    rounds: int


@contextlib.asynccontextmanager
async def opened(kind: str, folder: Path) -> AsyncIterator[StateStore]:
    """Give a store."""
    name = kind.partition(" ")[0]
    context = made_from(folder, name)
    if kind == IN_MEMORY:
        context = replace(context, metadata={"connectionstring": ":memory:"})
    store = cast("StateStore", COMPONENTS[name](context))
    await store.open()
    try:
        yield store
    finally:
        await store.close()


async def history_of(store: StateStore, plan: Plan, chance: random.Random) -> list[Operation]:
    """Let writers replace what they read; return every read and every successful write."""
    operations: list[Operation] = []
    await store.write(StateWrite(KEY, b"0"))

    async def write() -> None:
        for _ in range(plan.rounds):
            begin = time.monotonic()
            value = await store.get(KEY)
            assert value is not None
            version = int(value.data)
            operations.append(Operation(begin, time.monotonic(), version, read=True))
            for _ in range(chance.randint(0, 3)):
                await asyncio.sleep(0)
            begin = time.monotonic()
            new = StateWrite(KEY, b"%d" % (version + 1), etag=value.etag, first_write=True)
            try:
                await store.write(new)
            except EtagConflict:
                continue
            operations.append(Operation(begin, time.monotonic(), version + 1, read=False))

    await asyncio.gather(*(write() for _ in range(plan.writers)))
    return operations


async def run(plan: Plan, folder: Path, seed: int) -> Result:
    """Check the history of each backend."""
    result = Result()
    won = 0
    for kind in BACKENDS:
        chance = random.Random(seed)  # noqa: S311 - it decides who waits
        async with opened(kind, folder) as store:
            history = await history_of(store, plan, chance)
        result.problems += [f"{kind}: {each}" for each in not_linearizable(history)]
        won += sum(not operation.read for operation in history)
    tried = plan.writers * plan.rounds * len(BACKENDS)
    result.counts = {
        "backends": len(BACKENDS),
        "writers": plan.writers,
        "attempts": tried,
        "won": won,
    }
    if won < plan.rounds:
        result.problems.append(f"only {won} of {tried} attempts won")
    return result


GOAL = Goal(
    "G13",
    "concurrent writers with ETags lose nothing and see one order",
    {Size.QUICK: Plan(16, 30), Size.FULL: Plan(64, 200), Size.SOAK: Plan(64, 5_000)},
    run,
)
