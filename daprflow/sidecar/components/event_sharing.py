"""What a broker's queues share: deliveries under way, room in memory, an app that is away."""

from typing import Protocol

from daprflow.sidecar.clock import Clock, Timer

DELIVERIES = 256
"""How many of one app may be under way at one time: an app of ours takes 1,000 connections."""
FIRSTS = 256
"""How many may be under way beyond these, each the only one of its queue."""
ROWS = 16_384
SIZE = 16 * 1024 * 1024
"""Bytes of events that all windows together may hold; where there is no room they stay on disk."""
AWAY_PAUSE = 0.5
"""Seconds before the next try after an app or a log that could not be reached."""
PROBES = 16
"""How many queues try then: the app is one, and need not be asked for each of them."""
LOOKS = 2
"""How many queues that want more are asked when a delivery has ended."""


class Queue(Protocol):
    """Who shares.

    Attributes:
        held: what it has under way, by weight.
    """

    held: float

    def pump(self) -> None:
        """Begin what can be begun."""
        ...

    def look_again(self) -> None:
        """Try with one event whether the app is back."""
        ...


class Sharing:
    """What the queues of one broker share, however many there are.

    Attributes:
        rows: events in windows.
        size: their bytes.
    """

    def __init__(self, clock: Clock) -> None:
        self.rows = 0
        self.size = 0
        self._clock = clock
        self._turns: dict[str, Turns] = {}

    def of(self, consumer: str) -> "Turns":
        """Return what the queues of one consumer share; what it does is nothing to the others."""
        if consumer not in self._turns:
            self._turns[consumer] = Turns(self._clock)
        return self._turns[consumer]

    @property
    def full(self) -> bool:
        """Whether events must stay in the log."""
        return self.rows >= ROWS or self.size >= SIZE

    def hold(self, rows: int, size: int) -> None:
        """Count events that come into a window, or leave it."""
        self.rows += rows
        self.size += size


class Turns:
    """Keeps the sum over all queues of one consumer within bounds, and each queue moving.

    A queue may hold as much as is still free, so that those whose handlers are slow, or hang, leave
    room for the others; and one that holds nothing may go a little beyond. Queues whose events do
    not get to the app wait for one another: a few of them try again, and the first one that is
    answered brings all others back.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._running = 0.0
        self._idle: dict[Queue, None] = {}
        self._wanting: dict[Queue, None] = {}
        self._serving = False
        self._away: dict[Queue, None] = {}
        self._timer: Timer | None = None
        self._told: set[str] = set()

    # ---- deliveries -----------------------------------------------------------------------------

    def crowded(self, queue: Queue) -> bool:
        """Whether a queue that has delivered an event lets others go first."""
        return bool(self._idle) or (bool(self._wanting) and queue.held > DELIVERIES - self._running)

    def enter(self, queue: Queue, weight: float) -> bool:
        """Begin a delivery; where there are too many, the queue is pumped when its turn comes."""
        held = queue.held
        if held >= DELIVERIES - self._running and (held or self._running >= DELIVERIES + FIRSTS):
            if held:
                self._wanting[queue] = None
            else:
                self._wanting.pop(queue, None)
                self._idle[queue] = None
            return False
        self._running += weight
        queue.held += weight
        return True

    def leave(self, queue: Queue, weight: float) -> None:
        """End a delivery."""
        self._running -= weight
        queue.held -= weight
        if self._serving:
            return
        self._serving = True
        try:
            while self._idle and self._running < DELIVERIES + FIRSTS:
                _pump_first(self._idle)
            for _ in range(min(LOOKS, len(self._wanting))):
                _pump_first(self._wanting)
        finally:
            self._serving = False

    # ---- absence --------------------------------------------------------------------------------

    def news(self, reason: str) -> bool:
        """Tell whether it is news why events wait; once said it is none."""
        known = reason in self._told
        self._told.add(reason)
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
        self._idle.pop(queue, None)
        self._wanting.pop(queue, None)
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


def _pump_first(queues: dict[Queue, None]) -> None:
    """Have the one that waits longest go on; where it cannot, it comes last now."""
    queue = next(iter(queues))
    del queues[queue]
    queue.pump()
