"""G19: however a run ends, nothing of it is left."""

import asyncio
import os
import signal
import socket
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from tests.faults.harness.goals import Goal, Measure, Result, Size
from tests.helpers.cli_run import Run, write

SOON = 2.0
"""Seconds in which everything is gone, the grace of those that do not want to end among them."""
BETWEEN = 0.1
GRACE = 0.5
"""Seconds that those get who do not want to end, for some do not here."""
SIDE_BY_SIDE = 2
APP = """
import os, subprocess, sys
from daprflow import DaprFlow

app = DaprFlow("orphans")
for new in (False, True):
    subprocess.Popen([sys.executable, "-S", "-c", "import signal\\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\\nsignal.pause()"], start_new_session=new)


@app.invoke
async def crash() -> None:
    os.abort()
"""
WAYS = ("kill", "double Ctrl-C", "crash")


@dataclass(frozen=True, slots=True)
class Plan:
    """How often each way is gone: kills, double Ctrl-C, crashes of the app."""

    kills: int
    interrupts: int
    crashes: int


def end(run: Run, way: str) -> None:
    """End a run."""
    if way == "kill":
        os.kill(run.process.pid, signal.SIGKILL)
    elif way == "crash":
        url = ("POST /crash HTTP/1.1", "Host: localhost", "Content-Length: 0", "", "")
        with socket.create_connection(("127.0.0.1", run.port("app")), 5.0) as call:
            call.sendall("\r\n".join(url).encode())
            call.recv(1)
    else:
        run.send(signal.SIGINT)
        threading.Event().wait(BETWEEN)  # two signals at once may come as one
        run.send(signal.SIGINT)


def left_after(folder: Path, way: str) -> tuple[float, list[str]]:
    """Begin a run and end it; return the seconds until nothing is left, and what is left anyway.

    A port is free when the process that held it is gone; others on the machine may have it then.
    """
    with Run(folder, "run", "--dapr-graceful-shutdown-seconds", str(GRACE), ".") as run:
        run.ready()
        begun = time.monotonic()
        end(run, way)
        run.ended()
        run.all_gone()
        took = time.monotonic() - begun
        left = [f"after {way} process {pid} is left" for pid in run.alive()]
    file = folder / ".daprflow" / "run.json"
    if way != "kill" and file.exists():
        left.append(f"after {way} '{file.name}' is left")
    return took, left


async def run(plan: Plan, folder: Path, seed: int) -> Result:
    """End runs in every way, as often as the plan says."""
    result = Result()
    slowest = 0.0
    counts = (plan.kills, plan.interrupts, plan.crashes)
    ways = iter([way for way, count in zip(WAYS, counts, strict=True) for _ in range(count)])

    async def work(place: Path) -> None:
        nonlocal slowest
        await asyncio.to_thread(write, place, {"app.py": APP})
        for way in ways:
            took, left = await asyncio.to_thread(left_after, place, way)
            slowest = max(slowest, took)
            result.problems += left

    await asyncio.gather(*(work(folder / str(number)) for number in range(SIDE_BY_SIDE)))
    result.counts = dict(zip(("kills", "double Ctrl-Cs", "crashes"), counts, strict=True))
    result.measures.append(Measure("all gone within", slowest, "s", most=SOON))
    return result


GOAL = Goal(
    "G19",
    "however a run ends, no process and no file of it is left",
    {Size.QUICK: Plan(1, 1, 1), Size.FULL: Plan(100, 100, 50), Size.SOAK: Plan(1000, 1000, 500)},
    run,
    alone=True,
)
