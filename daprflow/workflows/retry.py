"""How often a workflow tries an activity or a child workflow again, and when."""

import random
from datetime import timedelta

import msgspec

from daprflow.protocol.history import Failure

_ALWAYS_FINAL = "NonRetryableError"
"""What the official SDK's activities raise to say so."""


class RetryPolicy(msgspec.Struct, frozen=True):
    """Try again after a failure; the waiting is durable.

    Attributes:
        attempts: how often it is tried, the first time included.
        first: how long to wait before the second attempt.
        backoff: what the wait is multiplied with after each further one.
        maximum: the longest wait; None for no limit.
        deadline: no attempt begins later than this after the first; None for no limit.
        jitter: up to which part of a wait it is shortened, from 0 to 1; the same on replay.
        only: what is tried again, as exception classes or their names; empty for everything.
        never: what is not, even so.

    Example:
        ```python
        policy = RetryPolicy(attempts=5, first=timedelta(seconds=2), never=(ValueError,))
        receipt = await ctx.call(charge, Order("7"), retry=policy)
        ```
    """

    attempts: int = 3
    first: timedelta = timedelta(seconds=1)
    backoff: float = 1.0
    maximum: timedelta | None = None
    deadline: timedelta | None = None
    jitter: float = 0.0
    only: tuple[type[BaseException] | str, ...] = ()
    never: tuple[type[BaseException] | str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what cannot be.

        Raises:
            ValueError: a limit is out of its range.
            TypeError: a time is no timedelta, or errors are no tuple.
        """
        zero = timedelta(0)
        if self.attempts < 1:
            raise ValueError(f"attempts={self.attempts} never tries; it takes 1 or more")
        if self.backoff < 1:
            raise ValueError(f"backoff={self.backoff} makes waits shorter; it takes 1 or more")
        if not 0 <= self.jitter <= 1:
            raise ValueError(f"jitter={self.jitter} is no part of a wait; it takes 0 to 1")
        for name in ("first", "maximum", "deadline"):
            value = getattr(self, name)
            if not isinstance(value, timedelta) and (value is not None or name == "first"):
                raise TypeError(
                    f"{name} is of type '{type(value).__name__}'; write timedelta(seconds=...)"
                )
            if value is not None and value < zero:
                raise ValueError(f"{name}={value} is negative")
        for name in ("only", "never"):
            if not isinstance(getattr(self, name), tuple):
                raise TypeError(f"{name} is no tuple; write {name}=(ValueError,)")

    def delay(self, failure: Failure, attempt: int, seed: str) -> timedelta | None:
        """Return how long to wait after a failed attempt; None gives up.

        Args:
            failure: why it failed.
            attempt: its number, from 1 on.
            seed: makes the jitter the same on every replay.
        """
        if attempt >= self.attempts or not self._may_retry(failure):
            return None
        waits = [self._wait(number, seed) for number in range(1, attempt + 1)]
        if self.deadline is not None and sum(waits, timedelta(0)) >= self.deadline:
            return None
        return waits[-1]

    def _wait(self, number: int, seed: str) -> timedelta:
        seconds = self.first.total_seconds() * min(self.backoff ** (number - 1), 1e12)
        if self.maximum is not None:
            seconds = min(seconds, self.maximum.total_seconds())
        if self.jitter:
            seconds *= 1 - self.jitter * random.Random(f"{seed}:{number}").random()  # noqa: S311 - no secret
        return timedelta(seconds=min(seconds, 1e9))

    def _may_retry(self, failure: Failure) -> bool:
        if failure.final or failure.type == _ALWAYS_FINAL or _names(self.never, failure.type):
            return False
        return not self.only or _names(self.only, failure.type)


def _names(errors: tuple[type[BaseException] | str, ...], name: str) -> bool:
    short = name.rpartition(".")[2]
    return any(
        short == (each.rpartition(".")[2] if isinstance(each, str) else each.__name__)
        for each in errors
    )
