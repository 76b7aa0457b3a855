"""Runs goals and prints what was measured.

python -m tests.faults.harness --size full G1 G2
python -m tests.faults.harness --results FOLDER --table docs/reference/reliability.md
"""

import argparse
import asyncio
import os
import platform
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from tests.faults.harness.goals import Goal, Result, Size
from tests.faults.harness.registry import GOALS
from tests.faults.harness.table import Line, save_line, saved_lines, write_table

SHOWN = 20


async def measured(goal: Goal, size: Size, seed: int) -> Line:
    """Run one goal and say what came of it."""
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        try:
            result = await goal.run(goal.plan(size), Path(folder), seed)
        except Exception as error:  # noqa: BLE001 - the other goals are looked at all the same
            traceback.print_exc()
            result = Result(problems=[f"{type(error).__name__}: {error}"])
    seconds = time.monotonic() - begun
    missed = result.missed()
    today = datetime.now(UTC).date().isoformat()
    machine = f"{os.cpu_count()} cores and Python {platform.python_version()}"
    return Line(
        *(goal.id, goal.promise, result.text, today, machine),
        *(tuple(missed), size.value, seed, seconds),
    )


def main(words: Sequence[str]) -> int:
    """Run what is asked for; return 1 where a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "goals", nargs="*", metavar="GOAL", help="such as G1; all, if none is named"
    )
    parser.add_argument("--size", type=Size, choices=list(Size), action="append")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    parser.add_argument("--results", type=Path, help="folder that keeps what was measured")
    parser.add_argument("--table", type=Path, help="page whose table is written from that folder")
    given = parser.parse_args(words)
    sizes = given.size or [Size.QUICK, Size.FULL]
    wanted = [goal for goal in GOALS if not given.goals or goal.id in given.goals]
    failed = False
    for size in sizes:
        for goal in wanted:
            line = asyncio.run(measured(goal, size, given.seed))
            if given.results is not None:
                save_line(given.results, line)
            failed = failed or bool(line.missed)
            sys.stdout.write(f"{line.text_for_terminal(SHOWN)}\n")
            sys.stdout.flush()
    if given.table is not None and given.results is not None:
        write_table(given.table, saved_lines(given.results, [goal.id for goal in GOALS]))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
