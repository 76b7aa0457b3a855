"""How much is too much: a token bucket and a sliding window, as pure arithmetic."""

from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from daprflow.durations import Duration, seconds


class Taken(msgspec.Struct, frozen=True):
    """What a rule says of one request.

    Attributes:
        state: what is kept until the next one; that of before where it is refused.
        allowed: whether it may pass.
        remaining: how many may follow at once.
        wait: seconds until the next one may pass; 0 where one may now.
    """

    state: "Counted"
    allowed: bool
    remaining: int
    wait: float


class Counted(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is kept of one key, for both rules.

    Attributes:
        at: of a bucket, when it is full again; of a window, when it began.
        now: requests in this window.
        before: requests in the one before.
    """

    at: float = 0.0
    now: int = 0
    before: int = 0


NOTHING = Counted()


class Rule(Protocol):
    """Decides on requests by what it kept of those before."""

    @property
    def limit(self) -> int:
        """How many requests a window may have."""
        ...

    @property
    def seconds(self) -> float:
        """How long a window is."""
        ...

    def take(self, state: Counted, now: float) -> Taken:
        """Decide on a request at ``now``, in seconds of any clock that goes forward."""
        ...

    def passes(self, state: Counted, now: float) -> Counted | None:
        """Return what is kept after a request that surely may pass; None leaves it to `take`."""
        ...


@dataclass(frozen=True, slots=True)
class TokenBucket:
    """``limit`` requests in ``window`` seconds on average, ``burst`` of them at once.

    Attributes:
        limit: how many requests flow in during a window.
        window: how long it is: seconds, or a ``timedelta``.
        seconds: the same in seconds.
        burst: how many a key that rested may make at once; None is ``limit``.

    Raises:
        ValueError: a number is not above 0.

    Example:
        ```python
        limit = Middleware(RateLimit, rule=TokenBucket(100, window=60, burst=20))
        ```
    """

    limit: int
    window: Duration = 60.0
    burst: int | None = None
    seconds: float = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "seconds", _seconds(self.limit, self.window))
        if self.burst is not None and self.burst < 1:
            raise ValueError(f"burst={self.burst!r} lets nothing pass; it must be at least 1")

    def passes(self, state: Counted, now: float) -> Counted | None:
        """As `Rule.passes`."""
        each = self.seconds / self.limit
        full = max(state.at, now) + each
        return Counted(full) if full + each <= now + each * (self.burst or self.limit) else None

    def take(self, state: Counted, now: float) -> Taken:
        """Decide on a request; the bucket is the moment at which it is full again."""
        each = self.seconds / self.limit
        room = each * (self.burst or self.limit)
        full = max(min(state.at, now + room), now) + each
        over = full - now - room
        if over > _ROUNDING:
            return Taken(state, allowed=False, remaining=0, wait=over)
        left = int((-over + _ROUNDING) / each)
        wait = 0.0 if left else over + each
        return Taken(Counted(full), allowed=True, remaining=left, wait=max(wait, 0.0))


@dataclass(frozen=True, slots=True)
class SlidingWindow:
    """At most ``limit`` requests in any ``window`` seconds.

    Two counters stand for the window: those of the window before count as far as it still reaches
    into this one, as if they had been spread evenly.

    Attributes:
        limit: how many requests a window may have.
        window: how long it is: seconds, or a ``timedelta``.
        seconds: the same in seconds.

    Raises:
        ValueError: a number is not above 0.

    Example:
        ```python
        limit = Middleware(RateLimit, rule=SlidingWindow(100, window=timedelta(minutes=1)))
        ```
    """

    limit: int
    window: Duration = 60.0
    seconds: float = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "seconds", _seconds(self.limit, self.window))

    def passes(self, state: Counted, now: float) -> Counted | None:
        """As `Rule.passes`."""
        at, count, before = state.at, state.now, state.before
        if 0.0 <= now - at < self.seconds and count + before < self.limit:
            return Counted(at, count + 1, before)
        return None

    def take(self, state: Counted, now: float) -> Taken:
        """Decide on a request."""
        window, at, count, before = self.seconds, state.at, state.now, state.before
        passed = (now - at) / window
        if 0.0 <= passed < 1.0:  # nearly always, so without a detour
            room = self.limit - 1 - count - before * (1.0 - passed)
            if room >= 1.0:
                after = Counted(at, count + 1, before)
                return Taken(after, True, int(room), 0.0)  # noqa: FBT003 - names cost a third more
        began = now - now % window
        if state.at == began:
            current = state
        elif state.at == began - window:
            current = Counted(began, 0, state.now)
        elif state.at > began:  # another replica's clock is ahead
            current, began = state, state.at
        else:
            current = Counted(began)
        passed = min(max(now - began, 0.0) / window, 1.0)
        weight = current.before * (1.0 - passed) + current.now
        if weight + 1 > self.limit + _ROUNDING:
            return Taken(state, allowed=False, remaining=0, wait=self._wait(current, passed))
        after = Counted(current.at, current.now + 1, current.before)
        left = int(self.limit - weight - 1 + _ROUNDING)
        wait = 0.0 if left else self._wait(after, passed)
        return Taken(after, allowed=True, remaining=left, wait=wait)

    def _wait(self, current: Counted, passed: float) -> float:
        """Return the seconds until the counters leave room for one."""
        free = self.limit - 1 - current.now
        if free >= 0 and current.before:
            return max(0.0, (1.0 - free / current.before) - passed) * self.seconds
        into = max(0.0, 1.0 - (self.limit - 1) / current.now) if current.now else 0.0
        return (1.0 - passed + into) * self.seconds


_ROUNDING = 1e-6


def _seconds(limit: int, window: Duration) -> float:
    if limit < 1:
        raise ValueError(f"limit={limit!r} lets nothing pass; it must be at least 1")
    found = seconds(window)
    if not found > 0:
        raise ValueError(f"window={window!r} is no time; it must be above 0")
    return found
