"""Runs goals side by side where they do not disturb each other, each in a process of its own.

Each process is under the guard that `daprflow run` has for its apps, so that nothing of a goal is
left, whatever becomes of it or of this process.
"""

import os
import socket
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

import daprflow.launcher.guard
from tests.faults.harness.goals import Goal, Size
from tests.faults.harness.measuring import MEASURED
from tests.faults.harness.table import Line
from tests.helpers.killed_process import ROOT

LOOK = 0.05
GRACE = "2"
LANES = (os.cpu_count() or 1) + 1
"""How many goals that measure no time run at one time: some wait rather than work."""
LONGEST = ("G7", "G1", "G3", "G25", "G21", "G4", "G20")
WORKERS = range(8, 20)
"""Goals take their ports from the ranges of workers that hardly any test run has."""


@dataclass(frozen=True, slots=True)
class Task:
    """A goal to be run in some size."""

    goal: Goal
    size: Size


class Running:
    """One goal in its process.

    Args:
        task: what is run.
        seed: of chance.
        folder: of its own.
    """

    def __init__(self, task: Task, seed: int, folder: Path) -> None:
        self.task = task
        worker, self._lease = _worker()
        self._line, self._measured = folder / "line", folder / "measured"
        self._log = folder / "log"
        reading, self._control = os.pipe()
        os.set_inheritable(self._control, False)  # noqa: FBT003 - takes no keyword
        guard = (sys.executable, "-S", "-E", "-s", daprflow.launcher.guard.__file__)
        words = (
            *(*guard, str(reading), GRACE, "-", "--"),
            *(sys.executable, "-m", "tests.faults.harness", "--line", str(self._line)),
            *("--size", task.size.value, "--seed", str(seed), task.goal.id),
        )
        env = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "PYTEST_XDIST_WORKER": f"gw{worker}",
            MEASURED: str(self._measured),
        }
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                words,
                env=env,
                pass_fds=(reading,),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        os.close(reading)

    @property
    def ended(self) -> bool:
        """Whether its process has."""
        return self._process.poll() is not None

    @property
    def is_measuring(self) -> bool:
        """Whether others would still disturb it."""
        return not self.ended and not self._measured.exists()

    def wait(self) -> None:
        """Wait a moment, or until its end."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(LOOK)

    def result(self) -> tuple[Line | None, str]:
        """Return what came of it, and what it printed."""
        self._let_go()
        text = self._log.read_text(encoding="utf-8", errors="replace")
        if not self._line.exists():
            return None, text
        return msgspec.json.decode(self._line.read_bytes(), type=Line), text

    def stop(self) -> None:
        """End it with all that it began."""
        self._let_go()
        self._process.wait()

    def _let_go(self) -> None:
        os.close(self._control)
        self._lease.close()


def run_all(tasks: Sequence[Task], seed: int) -> Iterator[tuple[Task, Line | None, str]]:
    """Run goals, those that measure times alone; give what came of each as it ends."""
    with _lanes(seed) as lanes:
        alone = deque(task for task in tasks if task.goal.alone)
        others = deque(sorted((task for task in tasks if not task.goal.alone), key=_turn))
        while others or lanes.running:
            while others and len(lanes.running) < LANES:
                lanes.begin(others.popleft())
            yield from lanes.ended()
        while alone or lanes.running:
            if alone and not any(each.is_measuring for each in lanes.running):
                lanes.begin(alone.popleft())
            yield from lanes.ended()


def _worker() -> tuple[int, socket.socket]:
    """Return a worker whose ports no other run on this machine has, and what keeps it so."""
    for number in WORKERS:
        lease = socket.socket(socket.AF_UNIX)
        try:
            lease.bind(f"\0daprflow-ports-of-gw{number}")
        except OSError:
            lease.close()
            continue
        return number, lease
    raise AssertionError("too many goals run on this machine")


def _turn(task: Task) -> int:
    """Return when a goal's turn is: the longest first, so that none is left over at the end."""
    return LONGEST.index(task.goal.id) if task.goal.id in LONGEST else len(LONGEST)


class _Lanes:
    """The goals that run now."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.running: list[Running] = []
        self._seed = seed
        self._folder = folder
        self._begun = 0

    def begin(self, task: Task) -> None:
        """Run one more."""
        self._begun += 1
        folder = self._folder / str(self._begun)
        folder.mkdir()
        self.running.append(Running(task, self._seed, folder))

    def ended(self) -> list[tuple[Task, Line | None, str]]:
        """Wait a moment; return what came of those that have ended."""
        self.running[0].wait()
        done = [each for each in self.running if each.ended]
        self.running = [each for each in self.running if each not in done]
        return [(each.task, *each.result()) for each in done]


@contextmanager
def _lanes(seed: int) -> Iterator[_Lanes]:
    """Give lanes; what still runs at the end is stopped."""
    with tempfile.TemporaryDirectory() as folder:
        lanes = _Lanes(seed, Path(folder))
        try:
            yield lanes
        finally:
            for each in lanes.running:
                each.stop()
