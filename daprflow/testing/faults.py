"""Failures and delays that a test asks for, and the calls that they meet."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from daprflow.actors import ActorInterface
from daprflow.addresses import Activity, Endpoint
from daprflow.handlers import trace
from daprflow.sidecar.clock import Clock, sleep_until
from daprflow.sidecar.engine import Work
from daprflow.testing.targets import (
    Operation,
    StateStore,
    Target,
    matches,
    require_target,
    titled,
)

CONFLICT = 409
LOWEST, HIGHEST = 300, 599
DEFAULT = "the test has this fail"


@dataclass(frozen=True, slots=True)
class Failing:
    """What becomes of a call: a text or an exception, and a status where an app answers."""

    error: str | Exception
    status: int


class Fault:
    """A failure or a delay that is on until it has happened ``times`` times, or `end` is called.

    It can be used as a context manager: ``with dapr.fail(orders): ...`` ends it with the block.

    Attributes:
        target: what it is about.
        hits: how many calls it has met.

    Example:
        ```python
        fault = dapr.fail(StateStore("statestore"), times=1)
        await dapr.publish(orders, Order("7"))
        assert fault.hits == 1
        ```
    """

    def __init__(self, target: Target, times: int | None, what: "Failing | float") -> None:
        self.target = target
        self.hits: int = 0
        self.what = what
        self._left = times
        self._ended = False

    @property
    def active(self) -> bool:
        """Whether it will meet the next call."""
        return not self._ended and self._left != 0

    def end(self) -> None:
        """Let every later call pass; calls it has met already are not changed.

        Example:
            ```python
            fault = dapr.fail(StateStore("statestore"))
            fault.end()
            ```
        """
        self._ended = True

    def hit(self) -> None:
        """Count one call."""
        self.hits += 1
        if self._left is not None:
            self._left -= 1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.end()

    def __repr__(self) -> str:
        state = "on" if self.active else "over"
        return f"<fault of {titled(self.target)}, {state}, met {self.hits} calls>"


Turn = Callable[[Operation], Awaitable[None]]


class Faults:
    """Every fault of one test, and what each call asks before it goes on.

    Args:
        app_id: of the app under test.
        clock: the engine's; delays pass on it.
        always_rests: whether what is late counts as work in flight whoever calls.
    """

    def __init__(self, app_id: str, clock: Clock, *, always_rests: bool = False) -> None:
        self.work: Work | None = None
        self.turn: Turn | None = None
        self._app_id = app_id
        self._clock = clock
        self._always_rests = always_rests
        self._faults: list[Fault] = []

    def fail(
        self, target: Target, times: int | None, error: str | Exception, status: int | None
    ) -> Fault:
        """Have calls of ``target`` fail from now on.

        Raises:
            TypeError: no such target, or an exception for what is no activity.
            ValueError: a status that such a target has not, or a count below one.
        """
        require_target(target)
        _check_status(target, status)
        if isinstance(error, Exception) and not isinstance(target, Activity):
            raise TypeError(
                f"{titled(target)} can fail with a text alone; an exception is for activities"
            )
        default = CONFLICT if status == CONFLICT else 500
        return self._add(target, times, Failing(error, status or default))

    def delay(self, target: Target, seconds: float, times: int | None) -> Fault:
        """Have calls of ``target`` wait so long on the engine's clock before they go on.

        Raises:
            TypeError: no such target.
            ValueError: the time is below zero, or the count below one.
        """
        require_target(target)
        if seconds < 0:
            raise ValueError(f"a call cannot come {-seconds:g} s before it was made")
        return self._add(target, times, seconds)

    async def meet(self, operation: Operation) -> Failing | None:
        """Let a call wait as long as it has to; return how it fails, None where it does not."""
        if self.turn is not None:
            await self.turn(operation)
        failing: Failing | None = None
        for fault in tuple(self._faults):
            if not fault.active or not matches(fault.target, self._app_id, operation):
                continue
            if isinstance(fault.what, Failing):
                if failing is None:
                    fault.hit()
                    failing = fault.what
                continue
            fault.hit()
            await self._wait(fault.what, operation)
        return failing

    async def _wait(self, seconds: float, operation: Operation) -> None:
        """Let virtual time pass; meanwhile the delivery that needs this call is at rest."""
        work = self.work
        tick = operation.kind == "actor" and operation.what in {"remind", "timer"}
        delivered = trace.DELIVERED.get() is not None
        rests = work if self._always_rests or delivered or tick else None
        if rests is not None:
            rests.rest()
        try:
            await sleep_until(self._clock, self._clock.now() + seconds)
        finally:
            if rests is not None:
                rests.resume()

    def _add(self, target: Target, times: int | None, what: Failing | float) -> Fault:
        if times is not None and times < 1:
            raise ValueError(f"a fault that happens {times} times is none; give 1 or more")
        fault = Fault(target, times, what)
        self._faults = [each for each in self._faults if each.active]
        self._faults.append(fault)
        return fault


def _check_status(target: Target, status: int | None) -> None:
    """Refuse a status that nobody would answer."""
    if status is None:
        return
    if isinstance(target, Endpoint) or (isinstance(target, type) and _is_actor(target)):
        if not LOWEST <= status <= HIGHEST:
            raise ValueError(f"status {status} is no failure; give one from {LOWEST} to {HIGHEST}")
    elif not (isinstance(target, StateStore) and status == CONFLICT):
        raise ValueError(
            f"{titled(target)} has no status of its own: the sidecar answers as Dapr does when a "
            "component fails; leave it out (state stores take 409, which is an ETag conflict)"
        )


def _is_actor(kind: type) -> bool:
    return issubclass(kind, ActorInterface)
