"""G20: ports that are given out are nobody else's, and never those the system gives out itself."""

import asyncio
import socket
from dataclasses import dataclass
from pathlib import Path

from daprflow.launcher.ports import ephemeral_start, listen_from
from tests.faults.harness.goals import Goal, Result, Size
from tests.helpers.cli_run import Run, write

APP = 'from daprflow import DaprFlow\n\napp = DaprFlow("ports")\n'
HELD = 20
"""Ports that are held at one time; each pick tries them all."""
FIRST = 3500


@dataclass(frozen=True, slots=True)
class Plan:
    """How many ports are picked, and how many runs begin at one time."""

    picks: int
    runs: int


def picked(count: int) -> list[str]:
    """Pick ports, some held all the time; return what is wrong."""
    held: dict[int, socket.socket] = {}
    problems = []
    end = ephemeral_start()
    for _ in range(count):
        listener = listen_from(FIRST)
        port = listener.getsockname()[1]
        if port >= end:
            problems.append(f"port {port} is one that the system gives out")
        if port in held:
            problems.append(f"port {port} was given out twice")
        held[port] = listener
        if len(held) > HELD:
            held.pop(next(iter(held))).close()
    for listener in held.values():
        listener.close()
    return problems


def side_by_side(folder: Path, count: int) -> list[str]:
    """Begin runs at one time; return what is wrong."""
    runs = []
    try:
        for number in range(count):
            write(folder / str(number), {"app.py": APP})
            runs.append(Run(folder / str(number), "run", "--ephemeral", "."))
        for run in runs:
            run.ready()
        ports = [run.port(name) for run in runs for name in ("HTTP", "app")]
    finally:
        for run in runs:
            run.__exit__(None, None, None)
    twice = sorted({port for port in ports if ports.count(port) > 1})
    return [f"ports that two runs have: {twice}"] if twice else []


async def run(plan: Plan, folder: Path, seed: int) -> Result:
    """Pick ports, then begin runs."""
    problems = await asyncio.to_thread(picked, plan.picks)
    problems += await asyncio.to_thread(side_by_side, folder, plan.runs)
    return Result({"picks": plan.picks, "runs at one time": plan.runs}, problems)


GOAL = Goal(
    "G20",
    "ports that are given out are nobody else's, and below those the system gives out",
    {Size.QUICK: Plan(500, 2), Size.FULL: Plan(20_000, 8), Size.SOAK: Plan(400_000, 16)},
    run,
)
