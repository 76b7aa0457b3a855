"""What was acknowledged and what was done, in files that outlive the processes that wrote them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.helpers.process_lines import ProcessLines, read_lines


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


class Ledger(ProcessLines):
    """Notes what one process does."""

    def note(self, what: str, number: int) -> None:
        """Add a line."""
        self.write(what, str(number))


def read_notes(folder: Path) -> Iterator[Note]:
    """Return every whole line of every process."""
    for process, (what, number, at) in read_lines(folder):
        yield Note(what, int(number), int(at) / 1e9, process)


def numbers(folder: Path, what: str) -> list[int]:
    """Return the numbers to which something was done, as often as it was."""
    return [note.number for note in read_notes(folder) if note.what == what]
