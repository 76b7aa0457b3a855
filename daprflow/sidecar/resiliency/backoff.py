"""How long to pause before each further attempt."""

import random
from collections.abc import Callable
from typing import Final

from daprflow.protocol.resiliency import RetrySpec

GROWTH: Final = 1.5
SPREAD: Final = 0.5
"""How far a growing pause may be from its mean, as a part of it."""


class Backoff:
    """The pauses of one call, from its first attempt on.

    Args:
        spec: the policy.
        now: the time in seconds; growing pauses end when too much of it has passed.
        chance: gives numbers from 0 to 1 that spread the growing pauses.
    """

    __slots__ = ("_chance", "_interval", "_now", "_spec", "_started", "retries")

    def __init__(
        self,
        spec: RetrySpec,
        now: Callable[[], float],
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._spec = spec
        self._now = now
        self._chance = chance
        self._started = now()
        self._interval = spec.first_interval
        self.retries = 0

    def next(self) -> float | None:
        """Return the seconds before the next attempt, None when there is to be none."""
        spec = self._spec
        if 0 <= spec.max_retries <= self.retries:
            return None
        self.retries += 1
        return self._growing() if spec.exponential else max(0.0, spec.duration)

    def _growing(self) -> float | None:
        spec, mean = self._spec, self._interval
        pause = mean * (1 - SPREAD + 2 * SPREAD * self._chance())
        self._interval = min(spec.max_interval, mean * GROWTH)
        if spec.max_elapsed and self._now() - self._started + pause > spec.max_elapsed:
            return None
        return pause
