"""Pauses between attempts, with chance in them, each about twice as long as the one before."""

from collections.abc import Iterator

FIRST = 0.05
LONGEST = 1.0
JITTER = 0.05
FIRST_BOUND = 0.01
LAST_BOUND = 0.5
FIRST_RECONNECTION = 0.1
LAST_RECONNECTION = 1.0
SOON = 0.3
"""The longest pause of what must be back within a second of its sidecar."""


def pauses(longest: float = LONGEST) -> Iterator[float]:
    """Give seconds to wait, without end; none is much longer than ``longest``."""
    seconds = FIRST
    while True:
        yield seconds + _any_up_to(JITTER)
        seconds = min(2 * seconds, longest)


def scattered() -> Iterator[float]:
    """Give seconds to wait, without end, to callers who raced and must not meet again.

    Each is anywhere below a bound that doubles: what differs little brings all of them back at
    one time, and all but one lose again.
    """
    bound = FIRST_BOUND
    while True:
        yield _any_up_to(bound)
        bound = min(2 * bound, LAST_BOUND)


def reconnections(longest: float = LAST_RECONNECTION) -> Iterator[float]:
    """Give seconds to wait, without end, to everybody whose connection broke at one time."""
    bound = FIRST_RECONNECTION
    while True:
        yield bound / 2 + _any_up_to(bound / 2)
        bound = min(2 * bound, longest)


def _any_up_to(seconds: float) -> float:
    import random  # noqa: PLC0415 - costs every import of the package a millisecond

    return random.uniform(0, seconds)  # noqa: S311 - it spreads callers, no secret
