"""Pauses between attempts, with chance in them, each about twice as long as the one before."""

from collections.abc import Iterator

FIRST = 0.05
LONGEST = 1.0
JITTER = 0.05
FIRST_BOUND = 0.01
LAST_BOUND = 0.5
FIRST_RECONNECTION = 0.1
LAST_RECONNECTION = 0.5


def pauses() -> Iterator[float]:
    """Give seconds to wait, without end."""
    seconds = FIRST
    while True:
        yield seconds + _any_up_to(JITTER)
        seconds = min(2 * seconds, LONGEST)


def scattered() -> Iterator[float]:
    """Give seconds to wait, without end, to callers who raced and must not meet again.

    Each is anywhere below a bound that doubles: what differs little brings all of them back at
    one time, and all but one lose again.
    """
    bound = FIRST_BOUND
    while True:
        yield _any_up_to(bound)
        bound = min(2 * bound, LAST_BOUND)


def reconnections() -> Iterator[float]:
    """Give seconds to wait, without end, to everybody whose connection broke at one time."""
    bound = FIRST_RECONNECTION
    while True:
        yield bound / 2 + _any_up_to(bound / 2)
        bound = min(2 * bound, LAST_RECONNECTION)


def _any_up_to(seconds: float) -> float:
    import random  # noqa: PLC0415 - costs every import of the package a millisecond

    return random.uniform(0, seconds)  # noqa: S311 - it spreads callers, no secret
