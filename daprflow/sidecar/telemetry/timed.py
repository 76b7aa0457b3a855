"""Measures the operations of building blocks where their sidecar has metrics."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import Final

from daprflow.sidecar.clock import Clock
from daprflow.sidecar.telemetry.meters import FALSE, TRUE, Operations
from daprflow.sidecar.telemetry.metrics import MOST_SERIES, Cell, Spread

_UNTIMED: Final = nullcontext()

Timed = Callable[..., AbstractContextManager[None]]
"""Called with the component's name and the other labels: what an operation is done in."""


def untimed(component: str, *labels: str) -> AbstractContextManager[None]:
    """Measure nothing."""
    del component, labels
    return _UNTIMED


class Timer:
    """Measures the operations of one block.

    Args:
        operations: the metrics.
        clock: measures.
        exists: tells whether there is a component of a name; others are not counted, as in the
            real runtime, and no caller can make up label values.
        success_at: where among the labels the one is that tells of success.
    """

    __slots__ = ("_good", "clock", "exists", "operations", "success_at")

    def __init__(
        self,
        operations: Operations,
        clock: Clock,
        exists: Callable[[str], bool],
        success_at: int | None = None,
    ) -> None:
        self.operations = operations
        self.clock = clock
        self.exists = exists
        self.success_at = success_at
        self._good: dict[tuple[str, ...], tuple[Cell, Spread]] = {}

    def __call__(self, component: str, *labels: str) -> AbstractContextManager[None]:
        """Return what one operation is done in."""
        return _Timing(self, (component, *labels)) if self.exists(component) else _UNTIMED

    def good(self, labels: tuple[str, ...]) -> tuple[Cell, Spread]:
        """Return the numbers of operations that succeed, by the labels that are given."""
        found = self._good.get(labels)
        if found is None:
            found = self.bad(labels, TRUE)
            if len(self._good) < MOST_SERIES:
                self._good[labels] = found
        return found

    def bad(self, labels: tuple[str, ...], success: str = FALSE) -> tuple[Cell, Spread]:
        """Return the numbers of those that fail."""
        at = len(labels) if self.success_at is None else self.success_at
        return self.operations.cells((*labels[:at], success, *labels[at:]))


class _Timing:
    """One operation."""

    __slots__ = ("_begun", "_labels", "_timer")

    def __init__(self, timer: Timer, labels: tuple[str, ...]) -> None:
        self._timer = timer
        self._labels = labels

    def __enter__(self) -> None:
        self._begun = self._timer.clock.now()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        timer = self._timer
        elapsed = (timer.clock.now() - self._begun) * 1000
        count, times = timer.good(self._labels) if kind is None else timer.bad(self._labels)
        count.value += 1
        times.record(elapsed)
