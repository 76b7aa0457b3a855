"""Runs goals and prints what was measured.

python -m tests.faults.harness --size full G1 G2
python -m tests.faults.harness --results FOLDER --table docs/reference/reliability.md
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from tests.faults.harness.goals import Goal, Size
from tests.faults.harness.measuring import measured
from tests.faults.harness.registry import GOALS
from tests.faults.harness.running import Task, run_all
from tests.faults.harness.table import save_line, saved_lines, write_table

SHOWN = 20


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
    parser.add_argument("--line", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args(words)
    sizes = given.size or [Size.QUICK, Size.FULL]
    wanted = [goal for goal in GOALS if not given.goals or goal.id in given.goals]
    if given.line is not None:
        _measure_here(wanted[0], sizes[0], given.seed, given.line)
        return 0
    failed = False
    begun = time.monotonic()
    for size in sizes:
        tasks = [Task(goal, size) for goal in wanted]
        for task, line, printed in run_all(tasks, given.seed):
            if line is None:
                failed = True
                sys.stdout.write(f"{printed}{task.goal.id} MISSED: its process ended\n")
                continue
            if given.results is not None:
                save_line(given.results, line)
            failed = failed or bool(line.missed)
            sys.stdout.write(f"{printed}{line.text_for_terminal(SHOWN)}\n")
            sys.stdout.flush()
    sys.stdout.write(f"{time.monotonic() - begun:.0f} s\n")
    if given.table is not None and given.results is not None:
        write_table(given.table, saved_lines(given.results, [goal.id for goal in GOALS]))
    return 1 if failed else 0


def _measure_here(goal: Goal, size: Size, seed: int, path: Path) -> None:
    """Run one goal in this process and leave what came of it in a file."""
    line = asyncio.run(measured(goal, size, seed))
    path.write_bytes(msgspec.json.encode(line))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
