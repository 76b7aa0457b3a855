"""What was acknowledged and what was done, in files that outlive the processes that wrote them."""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Note:
    """One line of a ledger: what was done to which number, when, and by whom.

    Attributes:
        at: seconds on a clock that all processes have.
    """

    what: str
    number: int
    at: float
    process: str


class Ledger:
    """Notes what one process does; a line is handed to the system at once, so that a kill keeps it.

    Args:
        folder: has a file for each process.
        process: the name of this one, which no other has or had.
    """

    def __init__(self, folder: Path, process: str) -> None:
        self._path = folder / process
        self._file: int | None = None

    def open(self) -> None:
        """Begin the file."""
        self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def close(self) -> None:
        """End the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def note(self, what: str, number: int) -> None:
        """Add a line."""
        if self._file is None:
            raise RuntimeError("the ledger is not open")
        os.write(self._file, f"{what} {number} {time.monotonic_ns()}\n".encode())


def read_notes(folder: Path) -> Iterator[Note]:
    """Return every whole line of every process."""
    for path in folder.iterdir():
        whole, _, _ = path.read_text(encoding="utf-8").rpartition("\n")
        for line in whole.splitlines():
            what, number, at = line.split(" ")
            yield Note(what, int(number), int(at) / 1e9, path.name)


def numbers(folder: Path, what: str) -> list[int]:
    """Return the numbers to which something was done, as often as it was."""
    return [note.number for note in read_notes(folder) if note.what == what]
