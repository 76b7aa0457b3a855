"""The table: one line per figure, with what is required of it."""

import operator
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Bound:
    """What a figure must reach or stay below."""

    sign: str
    limit: float

    def holds(self, value: float) -> bool:
        """Tell whether ``value`` is good enough."""
        compare: Callable[[float, float], bool] = operator.ge if self.sign == "≥" else operator.le
        return compare(value, self.limit)

    def __str__(self) -> str:
        return f"{self.sign} {number(self.limit)}"


def at_least(limit: float) -> Bound:
    """Return the bound of a figure that should be large."""
    return Bound("≥", limit)


def at_most(limit: float) -> Bound:
    """Return the bound of a figure that should be small."""
    return Bound("≤", limit)


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number; without a bound it stands there for comparison."""

    name: str
    value: float
    unit: str = ""
    bound: Bound | None = None
    note: str = ""

    @property
    def holds(self) -> bool:
        """Whether the figure reaches its bound."""
        return self.bound is None or self.bound.holds(self.value)


@dataclass(frozen=True, slots=True)
class Section:
    """Figures that were measured together."""

    title: str
    figures: Sequence[Figure]


def median_ratio(upper: Sequence[float], lower: Sequence[float]) -> float:
    """Return the median of the rounds' ratios: each pair was measured at about the same time."""
    return statistics.median(a / b for a, b in zip(upper, lower, strict=True))


def number(value: float) -> str:
    """Return a number with three significant digits."""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"


def show(section: Section) -> None:
    """Print one section."""
    table = Table(title=section.title, title_justify="left", title_style="bold")
    table.add_column("figure")
    table.add_column("value", justify="right")
    table.add_column("unit")
    table.add_column("required", justify="right")
    table.add_column("")
    table.add_column("note")
    for figure in section.figures:
        verdict = "" if figure.bound is None else "ok" if figure.holds else "MISSED"
        bound = "" if figure.bound is None else str(figure.bound)
        table.add_row(figure.name, number(figure.value), figure.unit, bound, verdict, figure.note)
    Console(width=120).print(table)
