"""What activities did, in files of their own that outlive the processes that wrote them."""

import itertools
from dataclasses import dataclass
from pathlib import Path

from tests.helpers.process_lines import ProcessLines, read_lines

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


class Ledger(ProcessLines):
    """Writes down what one process does.

    Args:
        folder: has a file for each process.
        process: the name of this one, which no other has or had.
    """

    def __init__(self, folder: Path, process: str) -> None:
        super().__init__(folder, process)
        self._process = process
        self._numbers = itertools.count(1)

    def begin(self, key: str) -> str:
        """Note that an activity begins; return the id of this run."""
        run = f"{self._process}.{next(self._numbers)}"
        self.write(_BEGUN, key, run)
        return run

    def end(self, key: str, run: str) -> None:
        """Note that it ended."""
        self.write(_ENDED, key, run)


def read_ledger(folder: Path) -> dict[str, list[ActivityRun]]:
    """Return the runs of every activity by its key, in the order in which they began."""
    runs: dict[str, list[ActivityRun]] = {}
    by_id: dict[str, ActivityRun] = {}
    for process, (what, key, run, at) in read_lines(folder):
        if what == _BEGUN:
            by_id[run] = ActivityRun(run, process, int(at))
            runs.setdefault(key, []).append(by_id[run])
        else:
            by_id[run].ended = True
    for each in runs.values():
        each.sort(key=lambda run: run.began)
    return runs
