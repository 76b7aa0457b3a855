"""Pauses between attempts: each twice as long as the one before, with a little chance in it."""

import random
from collections.abc import Iterator

FIRST = 0.05
LONGEST = 1.0
JITTER = 0.05


def pauses() -> Iterator[float]:
    """Give seconds to wait, without end."""
    seconds = FIRST
    while True:
        yield seconds + random.uniform(0, JITTER)  # noqa: S311 - it spreads callers, no secret
        seconds = min(2 * seconds, LONGEST)
