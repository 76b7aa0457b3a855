"""The table of the reliability page: what each goal promises, and what was measured."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from tests.faults.harness.goals import Size

BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"


@dataclass(frozen=True, slots=True)
class Line:
    """What came of one goal.

    Attributes:
        on: the day.
        machine: where it was measured.
        missed: what is not as it must be; nothing, if the goal is reached.
        seconds: how long it took.
    """

    id: str
    promise: str
    figures: str
    on: str
    machine: str
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
        cells = (self.id, self.promise, self.figures + problems, self.size, verdict, self.on)
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def save_line(folder: Path, line: Line) -> None:
    """Keep what was measured, in place of what there was of this goal and size."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{line.id}.{line.size}.json").write_bytes(msgspec.json.encode(line))


def saved_lines(folder: Path, order: Sequence[str]) -> list[Line]:
    """Return the largest size that was measured of each goal, in their order."""
    lines = [msgspec.json.decode(path.read_bytes(), type=Line) for path in folder.glob("*.json")]
    lines.sort(key=lambda line: list(Size).index(Size(line.size)))
    largest = {line.id: line for line in lines}
    return [largest[each] for each in order if each in largest]


def write_table(page: Path, lines: Sequence[Line]) -> None:
    """Put the table in its place on the page.

    Raises:
        ValueError: the page has no such place.
    """
    text = page.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"'{page}' has no place for the table; put '{BEGIN}' and '{END}' in it")
    machines = sorted({line.machine for line in lines})
    table = [
        f"Measured with {', '.join(machines)}.",
        "",
        "| goal | promise | measured | size | reached | on |",
        "|---|---|---|---|---|---|",
        *(line.row for line in lines),
    ]
    page.write_text(
        f"{before}{BEGIN}\n\n" + "\n".join(table) + f"\n\n{END}{after}", encoding="utf-8"
    )
