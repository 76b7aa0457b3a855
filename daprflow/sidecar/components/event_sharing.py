"""What a broker's queues share: deliveries under way, room in memory, an app that is away."""

from typing import Protocol

from daprflow.sidecar.clock import Clock, Timer

DELIVERIES = 256
"""How many may be under way at one time: an app of ours takes 1,000 connections."""
ROWS = 16_384
SIZE = 16 * 1024 * 1024
"""Bytes of events that all windows together may hold; where there is no room they stay on disk."""
AWAY_PAUSE = 0.5
"""Seconds before the next try after an app or a log that could not be reached."""
PROBES = 16
"""How many queues try then: the app is one, and need not be asked for each of them."""


class Queue(Protocol):
    """Who shares."""

    def pump(self) -> None:
        """Begin what can be begun."""
        ...

    def look_again(self) -> None:
        """Try with one event whether the app is back."""
        ...


class Sharing:
    """Keeps the sum over all queues of one broker within bounds, however many there are.

    Deliveries beyond `DELIVERIES` wait for their turn, queue by queue. Queues whose events do not
    get to the app wait for one another: a few of them try again, and the first one that is answered
    brings all others back.

    Attributes:
        rows: events in windows.
        size: their bytes.
    """

    def __init__(self, clock: Clock) -> None:
        self.rows = 0
        self.size = 0
        self._clock = clock
        self._running = 0
        self._waiting: dict[Queue, None] = {}
        self._serving = False
        self._away: dict[Queue, None] = {}
        self._timer: Timer | None = None
        self._told: set[tuple[str, str]] = set()

    # ---- deliveries -----------------------------------------------------------------------------

    @property
    def crowded(self) -> bool:
        """Whether others wait, so that who has delivered an event lets them go first."""
        return bool(self._waiting)

    def enter(self, queue: Queue) -> bool:
        """Begin a delivery; where there are too many, the queue is pumped when its turn comes."""
        if self._running >= DELIVERIES:
            self._waiting[queue] = None
            return False
        self._running += 1
        return True

    def leave(self) -> None:
        """End a delivery."""
        self._running -= 1
        if self._serving:
            return
        self._serving = True
        try:
            while self._waiting and self._running < DELIVERIES:
                queue = next(iter(self._waiting))
                del self._waiting[queue]
                queue.pump()
        finally:
            self._serving = False

    # ---- memory ---------------------------------------------------------------------------------

    @property
    def full(self) -> bool:
        """Whether events must stay in the log."""
        return self.rows >= ROWS or self.size >= SIZE

    def hold(self, rows: int, size: int) -> None:
        """Count events that come into a window, or leave it."""
        self.rows += rows
        self.size += size

    # ---- absence --------------------------------------------------------------------------------

    def news(self, consumer: str, reason: str) -> bool:
        """Tell whether it is news why a consumer's events wait; once said it is none."""
        known = (consumer, reason) in self._told
        self._told.add((consumer, reason))
        return not known

    def absent(self, queue: Queue) -> None:
        """Have a queue try again later."""
        self._away[queue] = None
        if self._timer is None:
            self._timer = self._clock.call_at(self._clock.now() + AWAY_PAUSE, self._try)

    def present(self) -> None:
        """Let all go on: somebody's event was answered."""
        self._told.clear()
        self._stop()
        away, self._away = self._away, {}
        for queue in away:
            queue.look_again()

    def forget(self, queue: Queue) -> None:
        """Expect nothing more of a queue."""
        self._away.pop(queue, None)
        self._waiting.pop(queue, None)
        if not self._away:
            self._stop()

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _try(self) -> None:
        self._timer = None
        chosen = list(self._away)[:PROBES]
        for queue in chosen:
            del self._away[queue]
        if self._away:
            self.absent(next(iter(self._away)))
        for queue in chosen:
            queue.look_again()
