"""Lines that one process writes, in a file that outlives it."""

import os
import time
from collections.abc import Iterator
from pathlib import Path


class ProcessLines:
    """Writes lines; each is handed to the system at once, so that a kill keeps it.

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

    def write(self, *words: str) -> None:
        """Add a line: the words, and the time on a clock that all processes have, in ns."""
        if self._file is None:
            raise RuntimeError("the ledger is not open")
        os.write(self._file, f"{' '.join(words)} {time.monotonic_ns()}\n".encode())


def read_lines(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Return the words of every whole line of every process, with the name of the process."""
    for path in folder.iterdir():
        whole, _, _ = path.read_text(encoding="utf-8").rpartition("\n")
        for line in whole.splitlines():
            yield path.name, line.split(" ")
