"""G25: whatever bytes come from outside, nothing breaks, hangs or goes round in circles."""

import asyncio
import logging
import random
import time
from collections.abc import Sequence
from pathlib import Path

from tests.faults.harness.goals import Goal, Measure, Result, Size
from tests.faults.harness.parsers import PARSERS, Parser, Read, Tracebacks

SLOW = 0.1
"""Seconds of the processor that one input may take."""
AGAIN = 3
"""How often a slow input is tried again: the machine, or the collector of garbage, was it once."""
SHOWN = 300


async def time_of(read: Read, data: bytes) -> float:
    """Return the seconds of this process that an input takes."""
    begun = time.process_time()
    await read(data)
    return time.process_time() - begun


async def fuzzed(
    parser: Parser, count: int, folder: Path, chance: random.Random
) -> tuple[list[str], float]:
    """Read many inputs; return what is wrong, and the seconds of the slowest."""
    wrong: list[str] = []
    slowest = 0.0
    await asyncio.to_thread(folder.mkdir)
    async with parser.opened(folder) as read:
        await read(parser.inputs.seeds[0])  # what is loaded at the first call is loaded
        for _ in range(count):
            data = parser.inputs.make(chance)
            begun = time.process_time()
            try:
                problem = await read(data)
            except Exception as error:  # noqa: BLE001 - that is what is looked for
                problem = f"{type(error).__name__}: {error}"
            took = time.process_time() - begun
            if problem is None and took > SLOW:
                took = min([took, *[await time_of(read, data) for _ in range(AGAIN)]])
                if took > SLOW:
                    problem = f"it takes {took:.2f} s"
            slowest = max(slowest, took)
            if problem is not None:
                wrong.append(f"{parser.name}: {problem}: {data[:SHOWN]!r} ({len(data)} bytes)")
    return wrong, slowest


async def all_fuzzed(
    parsers: Sequence[Parser], count: int, folder: Path, chance: random.Random
) -> Result:
    """Have each read as many inputs."""
    result, stacks = Result(), Tracebacks()
    root = logging.getLogger()
    before, disabled = root.level, [*root.handlers]
    root.handlers = [stacks]
    slowest = 0.0
    try:
        for number, parser in enumerate(parsers):
            wrong, took = await fuzzed(parser, count, folder / str(number), chance)
            result.problems += wrong
            slowest = max(slowest, took)
            await asyncio.sleep(0)
            result.problems += [
                f"{parser.name}: logged with a stack: {text}" for text in stacks.texts
            ]
            stacks.texts.clear()
    finally:
        root.handlers, root.level = disabled, before
    result.counts = {"parsers": len(parsers), "inputs": count * len(parsers)}
    result.measures.append(Measure("the slowest", slowest * 1000, "ms", most=SLOW * 1000))
    return result


async def run(plan: int, folder: Path, seed: int) -> Result:
    """Have everybody read as many inputs as planned."""
    return await all_fuzzed(PARSERS, plan, folder, random.Random(seed))  # noqa: S311 - it repeats


GOAL = Goal(
    "G25",
    "whatever bytes come from outside, nothing breaks, hangs, or comes again and again",
    {Size.QUICK: 100, Size.FULL: 5_000, Size.SOAK: 1_000_000},
    run,
)
