"""Measures the operations of building blocks where their sidecar has metrics."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import Final

from daprflow.sidecar.clock import Clock
from daprflow.sidecar.telemetry.meters import FALSE, TRUE, Operations

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

    __slots__ = ("clock", "exists", "operations", "success_at")

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

    def __call__(self, component: str, *labels: str) -> AbstractContextManager[None]:
        """Return what one operation is done in."""
        return _Timing(self, (component, *labels)) if self.exists(component) else _UNTIMED


class _Timing:
    """One operation."""

    __slots__ = ("_begun", "_labels", "_timer")

    def __init__(self, timer: Timer, labels: tuple[str, ...]) -> None:
        self._timer = timer
        self._labels = labels
        self._begun = 0.0

    def __enter__(self) -> None:
        self._begun = self._timer.clock.now()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        timer, labels = self._timer, self._labels
        success = TRUE if kind is None else FALSE
        at = len(labels) if timer.success_at is None else timer.success_at
        elapsed = (timer.clock.now() - self._begun) * 1000
        timer.operations.record(elapsed, *labels[:at], success, *labels[at:])
