"""The table of the reliability page: what each goal promises, and what was measured."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"


@dataclass(frozen=True, slots=True)
class Line:
    """What came of one goal.

    Attributes:
        missed: what is not as it must be; nothing, if the goal is reached.
        seconds: how long it took.
    """

    id: str
    promise: str
    figures: str
    missed: tuple[str, ...]
    size: str
    seed: int
    seconds: float

    def text_for_terminal(self, shown: int) -> str:
        """Return what is printed."""
        verdict = "MISSED" if self.missed else "reached"
        head = f"{self.id} {verdict} ({self.size}, seed {self.seed}, {self.seconds:.0f} s): "
        rest = [f"  WRONG: {text}" for text in self.missed[:shown]]
        return "\n".join([head + self.figures, *rest])

    @property
    def row(self) -> str:
        """Return the row of the table."""
        problems = f"; {len(self.missed)} problems" if self.missed else "; 0 problems"
        verdict = "no" if self.missed else "yes"
        cells = (self.id, self.promise, self.figures + problems, self.size, verdict)
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def write_table(page: Path, lines: Sequence[Line], machine: str, day: date) -> None:
    """Put the table in its place on the page.

    Raises:
        ValueError: the page has no such place.
    """
    text = page.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"'{page}' has no place for the table; put '{BEGIN}' and '{END}' in it")
    table = [
        f"Measured on {day.isoformat()}: {machine}.",
        "",
        "| goal | promise | measured | size | reached |",
        "|---|---|---|---|---|",
        *(line.row for line in lines),
    ]
    page.write_text(
        f"{before}{BEGIN}\n\n" + "\n".join(table) + f"\n\n{END}{after}", encoding="utf-8"
    )
