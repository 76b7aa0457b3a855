"""A circuit breaker: stops calls on what keeps failing, and lets a few through later to see."""

import logging
from collections.abc import Callable
from enum import Enum

from daprflow.protocol.expressions import CountsExpression, compile_counts
from daprflow.protocol.resiliency import BreakerSpec

logger = logging.getLogger(__name__)

_DEFAULT_TIMEOUT = 60.0
_FAILURES = 5


class Refused(Exception):  # noqa: N818 - named for what happened
    """A breaker did not let a call through; the text is the real runtime's."""


class BreakerState(Enum):
    """What a breaker does with a call."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class Counts:
    """What happened since the breaker's state last changed, or since its interval began."""

    __slots__ = (
        "consecutive_failures",
        "consecutive_successes",
        "requests",
        "total_failures",
        "total_successes",
    )

    def __init__(self) -> None:
        self.requests = 0
        self.total_successes = 0
        self.total_failures = 0
        self.consecutive_successes = 0
        self.consecutive_failures = 0

    def succeeded(self) -> None:
        """Count a call that ended well."""
        self.total_successes += 1
        self.consecutive_successes += 1
        self.consecutive_failures = 0

    def failed(self) -> None:
        """Count a call that ended badly."""
        self.total_failures += 1
        self.consecutive_failures += 1
        self.consecutive_successes = 0

    def variables(self) -> dict[str, int]:
        """Return the counts under the names that trip expressions use."""
        return {
            "requests": self.requests,
            "totalSuccesses": self.total_successes,
            "totalFailures": self.total_failures,
            "consecutiveSuccesses": self.consecutive_successes,
            "consecutiveFailures": self.consecutive_failures,
        }


class Breaker:
    """One circuit breaker.

    Closed, it lets every call through until the trip expression holds after a failure. Open, it
    refuses all for the policy's timeout. Half-open, it lets ``max_requests`` through: as many
    successes in a row close it, one failure opens it again. What a call that began under an
    earlier state comes to is not counted.

    Args:
        name: for the log.
        spec: the policy.
        now: the time in seconds.
    """

    __slots__ = ("_counts", "_expiry", "_generation", "_now", "_state", "_trip", "name", "spec")

    def __init__(self, name: str, spec: BreakerSpec, now: Callable[[], float]) -> None:
        self.name = name
        self.spec = spec
        self._now = now
        self._trip: CountsExpression | None = compile_counts(spec.trip) if spec.trip else None
        self._state = BreakerState.CLOSED
        self._generation = 0
        self._counts = Counts()
        self._expiry: float | None = None
        self._begin(BreakerState.CLOSED)

    @property
    def state(self) -> BreakerState:
        """The state now, after what time alone brought about."""
        self._refresh()
        return self._state

    def enter(self) -> int:
        """Let a call begin; `leave` must be told the number that this returns.

        Raises:
            Refused: the breaker is open, or half-open with enough calls under way.
        """
        self._refresh()
        if self._state is BreakerState.OPEN:
            raise Refused("circuit breaker is open")
        if self._state is BreakerState.HALF_OPEN and self._counts.requests >= self._probes:
            raise Refused("too many requests")
        self._counts.requests += 1
        return self._generation

    def leave(self, entered: int, *, success: bool) -> None:
        """Note how a call ended."""
        self._refresh()
        if entered != self._generation:
            return
        counts = self._counts
        if success:
            counts.succeeded()
            if (
                self._state is BreakerState.HALF_OPEN
                and counts.consecutive_successes >= self._probes
            ):
                self._turn(BreakerState.CLOSED)
            return
        counts.failed()
        if self._state is BreakerState.HALF_OPEN or self._tripped():
            self._turn(BreakerState.OPEN)

    def withdraw(self, entered: int) -> None:
        """Take back a call that was not made after all."""
        if entered == self._generation:
            self._counts.requests -= 1

    @property
    def _probes(self) -> int:
        return self.spec.max_requests or 1

    def _tripped(self) -> bool:
        if self._trip is None:
            return self._counts.consecutive_failures > _FAILURES
        return self._trip.holds(self._counts.variables())

    def _refresh(self) -> None:
        """Do what is due: begin new counts, or let calls try again."""
        if self._expiry is None or self._now() < self._expiry:
            return
        if self._state is BreakerState.OPEN:
            self._turn(BreakerState.HALF_OPEN)
        else:
            self._begin(self._state)

    def _turn(self, state: BreakerState) -> None:
        logger.warning(
            "circuit breaker '%s' turned from %s to %s", self.name, self._state.value, state.value
        )
        self._begin(state)

    def _begin(self, state: BreakerState) -> None:
        """Begin a generation of counts in ``state``."""
        self._state = state
        self._generation += 1
        self._counts = Counts()
        seconds = 0.0
        if state is BreakerState.CLOSED:
            seconds = self.spec.interval
        elif state is BreakerState.OPEN:
            seconds = self.spec.timeout if self.spec.timeout > 0 else _DEFAULT_TIMEOUT
        self._expiry = self._now() + seconds if seconds > 0 else None
