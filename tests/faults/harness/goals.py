"""What a goal is: a scenario of some size, the figures that it measures, and what they must be."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

HANG = 10
"""On CI a time may be so many times its goal: the machine has other things to do."""


class Size(Enum):
    """How much is done."""

    QUICK = "quick"
    FULL = "full"
    SOAK = "soak"


@dataclass(frozen=True, slots=True)
class Measure:
    """Something that depends on the machine.

    Attributes:
        name: what was measured.
        value: how much it was.
        unit: of both.
        most: what it may be; None where `least` says what it must be.
        least: what it must be.
    """

    name: str
    value: float
    unit: str
    most: float | None = None
    least: float | None = None

    def problem(self, lenience: float) -> str | None:
        """Say that the goal is missed, if it is even with some lenience."""
        if self.most is not None and self.value > self.most * lenience:
            return f"{self.name}: {self.value:.4g} {self.unit}, at most {self.most:g}"
        if self.least is not None and self.value < self.least / lenience:
            return f"{self.name}: {self.value:.4g} {self.unit}, at least {self.least:g}"
        return None

    def __str__(self) -> str:
        """Say how much it was."""
        return f"{self.name} {self.value:.4g} {self.unit}".rstrip()


@dataclass(slots=True)
class Result:
    """What came of a scenario.

    Attributes:
        counts: what was done, and how often.
        problems: what must not be; nothing, if all is well.
        measures: what depends on the machine.
    """

    counts: Mapping[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    measures: list[Measure] = field(default_factory=list)

    def missed(self, lenience: float = 1.0) -> list[str]:
        """Return everything that is not as it must be."""
        late = [measure.problem(lenience) for measure in self.measures]
        return [*self.problems, *(text for text in late if text is not None)]

    @property
    def text(self) -> str:
        """What is printed."""
        counts = [f"{count:,} {name}" for name, count in self.counts.items()]
        return "; ".join([*counts, *map(str, self.measures)])


@dataclass(frozen=True, slots=True)
class Goal:
    """One promise and the scenario that proves it.

    Attributes:
        id: its name in the list of goals.
        promise: what holds.
        sizes: what is done, by size; a size that is not there is as the one before it.
        run: does it, in a folder of its own, by a seed.
        alone: whether it measures times that goals beside it would make longer.
    """

    id: str
    promise: str
    sizes: Mapping[Size, Any]
    run: Callable[[Any, Path, int], Awaitable[Result]]
    alone: bool = False

    def plan(self, size: Size) -> Any:
        """Return what is done in this size."""
        order = list(Size)
        for each in reversed(order[: order.index(size) + 1]):
            if each in self.sizes:
                return self.sizes[each]
        raise LookupError(f"goal {self.id} has no size")
