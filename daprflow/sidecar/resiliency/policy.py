"""One target's policy: retry around breaker around timeout, as the real runtime nests them."""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from daprflow.protocol.resiliency import CodeRange, RetrySpec
from daprflow.sidecar.clock import Clock
from daprflow.sidecar.resiliency.backoff import Backoff
from daprflow.sidecar.resiliency.breaker import Breaker, Refused
from daprflow.sidecar.resiliency.deadline import Deadline, TimedOut
from daprflow.sidecar.resiliency.pauses import Pauses
from daprflow.sidecar.resiliency.watched_policy import RETRY, TIMEOUT, PolicyWatch

logger = logging.getLogger(__name__)

T = TypeVar("T")

HTTP_CODES = CodeRange(100, 599)
GRPC_CODES = CodeRange(0, 16)


class StatusFailure(Exception):  # noqa: N818 - named for what happened
    """An attempt failed with a status, which the policy's ``matching`` may sort out."""

    def __init__(self, status: int) -> None:
        super().__init__(f"status {status}")
        self.status = status


class LastingFailure(Exception):  # noqa: N818 - named for what happened
    """An attempt failed in a way that no further attempt can mend."""


class NotMade(Exception):  # noqa: N818 - named for what happened
    """The call was not made at all: it counts neither for the breaker nor as an attempt."""


class StoppedRetrying(Exception):  # noqa: N818 - named for what happened
    """Attempts were to follow, but what they belong to is being stopped."""


def _one() -> int:
    return 1


@dataclass(frozen=True, slots=True)
class Policy:
    """What applies to calls of one target; several calls may run at one time.

    Attributes:
        name: for the log.
        timeout: seconds of one attempt; None means no limit.
        pauses: where the pauses between attempts are spent.
        watch: counts what it does; None where there are no metrics.
    """

    name: str
    clock: Clock
    pauses: Pauses
    timeout: float | None = None
    retry: RetrySpec | None = None
    breaker: Breaker | None = None
    watch: PolicyWatch | None = None

    @property
    def retries(self) -> bool:
        """Whether a further attempt can follow."""
        return self.retry is not None and self.retry.max_retries != 0

    async def run(
        self, operation: Callable[[], Awaitable[T]], waiting: Callable[[], int] = _one
    ) -> T:
        """Call ``operation`` until an attempt succeeds or the policy gives up.

        Every exception of an attempt is a failure. All are tried again except `LastingFailure`,
        `NotMade`, a refusal by the breaker, and a `StatusFailure` that the policy does not match.

        Args:
            operation: one attempt.
            waiting: how many pieces of work rest in a pause.

        Raises:
            Exception: that of the last attempt; `Refused` and `TimedOut` are the policy's own.
            StoppedRetrying: a pause was ended by a stop; its cause is the last failure.
        """
        spec = self.retry
        if self.watch is not None:
            self._note(self.watch)
        if spec is None:
            return await self.attempt(operation)
        backoff = Backoff(spec, self.clock.now)
        while True:
            try:
                return await self.attempt(operation)
            except (LastingFailure, NotMade, Refused):
                raise
            except Exception as error:
                if isinstance(error, StatusFailure) and not _matches(spec, error.status):
                    raise
                pause = backoff.next()
                if pause is None:
                    raise
                self._tell(backoff.retries, pause, error)
                if self.watch is not None and backoff.retries == 1:
                    self.watch.activated(RETRY)
                if not await self.pauses.wait(pause, waiting()):
                    raise StoppedRetrying(str(error)) from error

    async def attempt(self, operation: Callable[[], Awaitable[T]]) -> T:
        """Make one attempt, counted by the breaker and limited by the timeout."""
        breaker = self.breaker
        if breaker is None:
            return await self._limited(operation)
        if self.watch is None:
            return await self._entered(breaker, operation)
        before = breaker.state
        try:
            return await self._entered(breaker, operation)
        finally:
            if breaker.state is not before:
                self.watch.turned(breaker.state)

    def _note(self, watch: PolicyWatch) -> None:
        """Note that a call is made under this policy."""
        if self.timeout is not None:
            watch.used(TIMEOUT)
        if self.retry is not None:
            watch.used(RETRY)
        if self.breaker is not None:
            watch.guarded(self.breaker.state)

    async def _entered(self, breaker: Breaker, operation: Callable[[], Awaitable[T]]) -> T:
        entered = breaker.enter()
        try:
            result = await self._limited(operation)
        except NotMade:
            breaker.withdraw(entered)
            raise
        except BaseException:
            breaker.leave(entered, success=False)
            raise
        breaker.leave(entered, success=True)
        return result

    async def _limited(self, operation: Callable[[], Awaitable[T]]) -> T:
        if self.timeout is None:
            return await operation()
        try:
            async with Deadline(self.clock, self.timeout):
                return await operation()
        except TimedOut:
            if self.watch is not None:
                self.watch.activated(TIMEOUT)
            raise

    def _tell(self, retries: int, pause: float, error: Exception) -> None:
        """Say once for each call that it is being tried again."""
        level = logging.WARNING if retries == 1 else logging.DEBUG
        logger.log(level, "%s failed, the next attempt is in %.3g s: %s", self.name, pause, error)


def _matches(spec: RetrySpec, status: int) -> bool:
    """Tell whether an attempt that failed with ``status`` is tried again."""
    ranges = spec.grpc_codes if status in GRPC_CODES else spec.http_codes
    if status not in GRPC_CODES and status not in HTTP_CODES:
        return False
    return ranges is None or any(status in each for each in ranges)
