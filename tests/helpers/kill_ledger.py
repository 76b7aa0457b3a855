"""What activities did, in files of their own that outlive the processes that wrote them."""

import itertools
import os
import time
from dataclasses import dataclass
from pathlib import Path

_BEGUN, _ENDED = "b", "e"


@dataclass(slots=True)
class ActivityRun:
    """One run of one activity.

    Attributes:
        id: tells it from all other runs; the activity's result.
        process: the name of the process that ran it.
        began: when it began, on a clock that all processes have.
        ended: whether it came to its end.
    """

    id: str
    process: str
    began: int
    ended: bool = False


class Ledger:
    """Writes down what one process does; a line is handed to the system at once.

    Args:
        folder: has a file for each process.
        process: the name of this one, which no other has or had.
    """

    def __init__(self, folder: Path, process: str) -> None:
        self._path = folder / process
        self._process = process
        self._numbers = itertools.count(1)
        self._file: int | None = None

    def open(self) -> None:
        """Begin the file."""
        self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def close(self) -> None:
        """End the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def begin(self, key: str) -> str:
        """Note that an activity begins; return the id of this run."""
        run = f"{self._process}.{next(self._numbers)}"
        self._write(_BEGUN, key, run)
        return run

    def end(self, key: str, run: str) -> None:
        """Note that it ended."""
        self._write(_ENDED, key, run)

    def _write(self, what: str, key: str, run: str) -> None:
        if self._file is None:
            raise RuntimeError("the ledger is not open")
        os.write(self._file, f"{what} {key} {run} {time.monotonic_ns()}\n".encode())


def read_ledger(folder: Path) -> dict[str, list[ActivityRun]]:
    """Return the runs of every activity by its key, in the order in which they began."""
    runs: dict[str, list[ActivityRun]] = {}
    by_id: dict[str, ActivityRun] = {}
    for path in folder.iterdir():
        for line in path.read_text(encoding="utf-8").splitlines():
            what, key, run, at = line.split(" ")
            if what == _BEGUN:
                by_id[run] = ActivityRun(run, path.name, int(at))
                runs.setdefault(key, []).append(by_id[run])
            else:
                by_id[run].ended = True
    for each in runs.values():
        each.sort(key=lambda run: run.began)
    return runs
