"""The retry budget of a client: repetitions are a share of its calls, and no flood of their own."""

import time

import msgspec

PER_SECOND = 10.0
"""Repetitions a second that are always allowed: a client with few calls repeats them all."""
MOST = 100.0
"""Repetitions that a quiet time saves up, at most."""


class RetryState(msgspec.Struct, frozen=True):
    """How a client's retry budget stands.

    Attributes:
        left: repetitions that are allowed now.
        made: how many were.
        refused: how many were not.

    Example:
        ```python
        print(client.retries.left, "repetitions are left,", client.retries.refused, "were refused")
        ```
    """

    left: float
    made: int
    refused: int


class RetryBudget:
    """Says whether a call may be sent once more.

    Args:
        share: repetitions allowed for each call, 0.2 for one in five.

    Attributes:
        calls: how many were made; count each one here.
        retries: how many repetitions were allowed.
        refused: how many were not.
    """

    __slots__ = ("_seen", "_then", "_tokens", "calls", "refused", "retries", "share")

    def __init__(self, share: float) -> None:
        self.share: float = share
        self.calls: int = 0
        self.retries: int = 0
        self.refused: int = 0
        self._seen = 0
        self._tokens = MOST
        self._then = time.monotonic()

    @property
    def state(self) -> RetryState:
        """How it stands now."""
        return RetryState(self.left, self.retries, self.refused)

    @property
    def left(self) -> float:
        """How many repetitions it holds now."""
        now, calls = time.monotonic(), self.calls
        gained = PER_SECOND * (now - self._then) + self.share * (calls - self._seen)
        self._tokens = min(MOST, self._tokens + gained)
        self._then, self._seen = now, calls
        return self._tokens

    def take(self) -> bool:
        """Tell whether a call may be repeated, and count it if so."""
        if self.left < 1:
            self.refused += 1
            return False
        self._tokens -= 1
        self.retries += 1
        return True
