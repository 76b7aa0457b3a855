"""Numbers that a sidecar keeps about itself: counts, distributions and last values, with labels.

They are kept here and not by a library: recording one costs less than a microsecond in the loop's
own thread, and the names are the real runtime's, which the usual library would change.
"""

import re
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import partial
from operator import attrgetter
from typing import Final, Generic, TypeVar

from daprflow.protocol.configuration_file import MetricsSpec

MOST_SERIES: Final = 5000
"""Label values of one metric that count for themselves; those after them count together."""

LATENCIES: Final = (
    1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 13.0, 16.0, 20.0, 25.0, 30.0, 40.0, 50.0, 65.0, 80.0,
    100.0, 130.0, 160.0, 200.0, 250.0, 300.0, 400.0, 500.0, 650.0, 800.0, 1000.0, 2000.0, 5000.0,
    10000.0, 20000.0, 50000.0, 100000.0,
)  # fmt: skip
"""Milliseconds."""
_POWERS = (10, 11, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30, 32)
SIZES: Final = tuple(float(1 << power) for power in _POWERS)
"""Bytes."""
RATIOS: Final = (0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1.0, 1.5, 2.0)


class Shape(Enum):
    """What is kept of what is recorded."""

    COUNT = "counter"
    LAST = "gauge"
    LATENCY = "latency"
    SIZE = "size"
    RATIO = "ratio"


class Cell:
    """One number: a count or a last value."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0.0

    def add(self) -> None:
        """Count one more."""
        self.value += 1


class Spread:
    """How many values there were up to each limit, and their sum."""

    __slots__ = ("_limits", "counts", "total")

    def __init__(self, limits: Sequence[float]) -> None:
        self._limits = limits
        self.counts = [0] * (len(limits) + 1)
        self.total = 0.0

    def record(self, value: float) -> None:
        """Take in one value."""
        self.counts[bisect_left(self._limits, value)] += 1
        self.total += value

    @property
    def limits(self) -> Sequence[float]:
        """The upper limits; what is above all of them is counted as well."""
        return self._limits


T = TypeVar("T", bound=Cell | Spread)
_Rules = Mapping[str, Sequence[tuple[re.Pattern[str], str]]]


@dataclass(frozen=True, slots=True)
class Known:
    """A metric of the real runtime.

    Attributes:
        name: without ``dapr_``.
        labels: those that differ from one cell to another.
        namespaced: whether the app's namespace is a label, too.
    """

    name: str
    labels: tuple[str, ...]
    shape: Shape
    text: str
    namespaced: bool = False


class Family(Generic[T]):
    """One metric: its cells by the values of its labels.

    Args:
        known: its name and labels.
        make: makes a cell.
        fixed: the labels that are the same in all cells.
        rules: by label, what is replaced in its values.
    """

    __slots__ = ("_cells", "_fixed", "_labels", "_make", "_rules", "name", "shape", "text")

    def __init__(
        self,
        known: Known,
        make: Callable[[], T],
        fixed: Sequence[tuple[str, str]],
        rules: _Rules,
    ) -> None:
        self.name = known.name
        self.shape = known.shape
        self.text = known.text
        self._labels = known.labels
        self._make: Callable[[], T] = make
        self._fixed = fixed
        self._rules = rules
        self._cells: dict[tuple[str, ...], T] = {}

    def __call__(self, *values: str) -> T:
        """Return the cell of these values, in the order of the labels."""
        cell = self._cells.get(values)
        if cell is None:
            cell = self._add(values)
        return cell

    def __contains__(self, values: tuple[str, ...]) -> bool:
        return values in self._cells

    def _add(self, values: tuple[str, ...]) -> T:
        if len(self._cells) >= MOST_SERIES:
            values = ("",) * len(self._labels)
            cell = self._cells.get(values)
            if cell is not None:
                return cell
        cell = self._cells[values] = self._make()
        return cell

    def cells(self) -> Iterator[tuple[tuple[tuple[str, str], ...], T]]:
        """Yield each cell with its labels in the order of their names."""
        for values, cell in list(self._cells.items()):
            own = tuple(
                (label, self._replaced(label, value))
                for label, value in zip(self._labels, values, strict=True)
            )
            yield tuple(sorted((*self._fixed, *own))), cell

    def _replaced(self, label: str, value: str) -> str:
        for pattern, replacement in self._rules.get(label, ()):
            value = pattern.sub(replacement, value)
        return value


class Registry:
    """The metrics of one sidecar.

    Args:
        app_id: a label of each.
        namespace: a label of some.
        spec: of the configuration.
    """

    def __init__(self, app_id: str, namespace: str, spec: MetricsSpec) -> None:
        self._app_id = app_id
        self._namespace = namespace
        self._latencies = spec.latency_buckets or LATENCIES
        self._rules = _rules(spec)
        self._families: list[Family[Cell] | Family[Spread]] = []

    def count(self, known: Known) -> Family[Cell]:
        """Begin to count something, or to keep its last value."""
        family = Family(known, Cell, self._fixed(known), self._rules_of(known))
        self._families.append(family)
        return family

    def spread(self, known: Known) -> Family[Spread]:
        """Begin to keep a distribution."""
        limits = _LIMITS.get(known.shape, self._latencies)
        family = Family(known, partial(Spread, limits), self._fixed(known), self._rules_of(known))
        self._families.append(family)
        return family

    def families(self) -> Sequence[Family[Cell] | Family[Spread]]:
        """Return all of them in the order of their names."""
        return sorted(self._families, key=attrgetter("name"))

    def _fixed(self, known: Known) -> tuple[tuple[str, str], ...]:
        own = ("app_id", self._app_id)
        return (own, ("namespace", self._namespace)) if known.namespaced else (own,)

    def _rules_of(self, known: Known) -> _Rules:
        return self._rules.get(_plain(known.name), {})


_LIMITS = {Shape.SIZE: SIZES, Shape.RATIO: RATIOS}


def _rules(spec: MetricsSpec) -> dict[str, dict[str, list[tuple[re.Pattern[str], str]]]]:
    return {
        _plain(rule.name): {
            label.name: [(re.compile(pattern), text) for text, pattern in label.patterns]
            for label in rule.labels
        }
        for rule in spec.rules
    }


def _plain(name: str) -> str:
    """Return a name as rules are compared: with or without the prefix, slashes or not."""
    return name.replace("/", "_").removeprefix("dapr_")
