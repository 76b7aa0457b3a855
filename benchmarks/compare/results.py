"""Results: what every contender reached in every round, and how that compares."""

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.table import median_ratio, number

OURS = "daprflow"
TIMES = "\N{MULTIPLICATION SIGN}"


@dataclass(frozen=True, slots=True)
class Row:
    """One contender of a group.

    Attributes:
        values: one for each round; empty where it could not be measured.
        beside: the contender of the same group that it is compared with; empty for none.
        note: what to know of it, or why it was not measured.
    """

    contender: str
    values: Sequence[float] = ()
    beside: str = OURS
    note: str = ""

    @property
    def median(self) -> float:
        """The value in the middle."""
        return statistics.median(self.values)

    @property
    def spread(self) -> tuple[float, float]:
        """The least and the greatest value."""
        return min(self.values), max(self.values)


@dataclass(frozen=True, slots=True)
class Group:
    """Contenders that did the same work.

    Attributes:
        unit: of all values.
        more: whether more of it is better.
    """

    title: str
    unit: str
    rows: Sequence[Row]
    more: bool = True
    note: str = ""

    def advantage(self, row: Row) -> float | None:
        """Return how many times better ours is than ``row``; below 1 it is worse."""
        ours = next((each for each in self.rows if each.contender == row.beside), None)
        if ours is None or ours is row or not ours.values or not row.values:
            return None
        upper, lower = (ours, row) if self.more else (row, ours)
        if len(upper.values) == len(lower.values):
            return median_ratio(upper.values, lower.values)
        return upper.median / lower.median

    def behind(self) -> Iterator[str]:
        """Say where ours is worse, by more than a twentieth."""
        for row in self.rows:
            times = self.advantage(row)
            if times is not None and times < 0.95 and not row.contender.startswith(OURS):
                yield f"{row.contender} ({self.title}: {number(times)} {TIMES})"


@dataclass(frozen=True, slots=True)
class Curve:
    """What contenders reach as something grows.

    Attributes:
        axis: what grows.
        points: by contender, then by size, the values of the rounds.
        notes: what to know of a contender, or why it has no points.
    """

    title: str
    unit: str
    axis: str
    points: Mapping[str, Mapping[int, Sequence[float]]]
    more: bool = True
    notes: Mapping[str, str] = field(default_factory=dict)

    def sizes(self) -> list[int]:
        """Return every size that somebody was measured at."""
        return sorted({size for found in self.points.values() for size in found})

    def behind(self) -> Iterator[str]:
        """Say where ours is worse at the largest size that both were measured at."""
        for contender, found in self.points.items():
            ours = self._beside(contender)
            shared = [size for size in found if size in ours]
            if contender.startswith(OURS) or not shared:
                continue
            size = max(shared)
            mine, theirs = statistics.median(ours[size]), statistics.median(found[size])
            upper, lower = (mine, theirs) if self.more else (theirs, mine)
            times = upper / lower if lower else math.inf
            if times < 0.95:
                yield f"{contender} ({self.title}, {size:,} {self.axis}: {number(times)} {TIMES})"

    def _beside(self, contender: str) -> Mapping[int, Sequence[float]]:
        """Return what ours reached, of the same kind where a contender has several."""
        kind = contender.partition(", ")[2]
        return self.points.get(f"{OURS}, {kind}" if kind else OURS, self.points.get(OURS, {}))


@dataclass(frozen=True, slots=True)
class Comparison:
    """One section: what was measured together.

    Attributes:
        about: a sentence or two on what is measured and how.
        missing: what could not be measured at all, and why.
    """

    name: str
    title: str
    about: str
    parts: Sequence[Group | Curve]
    missing: Sequence[str] = ()
