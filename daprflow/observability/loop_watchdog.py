"""Finds the handler that blocks the event loop while it does, and names it in one log line.

A blocked loop answers nobody: no probe, no delivery, and after three probes a sidecar with app
health checks stops delivering. A timer of the loop says that it runs; a daemon thread looks at it.
"""

import asyncio
import logging
import sys
import threading
import time
from collections.abc import Mapping
from types import CodeType, FrameType

from daprflow.observability.stacks import Foreign, Place, base_of, place_of, running

logger = logging.getLogger(__name__)

PARTS = 5
"""How often the thread looks within the time after which a block is told."""
LONGEST_TICK = 0.25
SLACK = 0.25
"""Seconds by which a look may come late before the process counts as having been stopped."""
QUIET = 60.0
"""Seconds in which the same line is not told of again."""
WINDOW = 10.0
"""Seconds for which the worst lag is remembered, at least; twice as many at most."""
PLACES = 200


class LoopWatchdog:
    """One app's part in the watch over the loop that it runs on.

    Apps on the same loop share one thread: a block is told once.

    Args:
        names: how messages call the app's handlers, by their code.
        threshold: seconds after which a callback counts as blocking; 0 watches nothing.
    """

    def __init__(self, names: Mapping[CodeType, str], threshold: float) -> None:
        self.names = names
        self.threshold = threshold
        self._watch: _Watch | None = None

    def start(self) -> None:
        """Watch the running loop; does nothing where the threshold is 0."""
        if self.threshold > 0 and self._watch is None:
            self._watch = _watch_of(asyncio.get_running_loop(), self.threshold)
            self._watch.watched.append(self.names)

    def stop(self) -> None:
        """Leave the watch; the last one ends it."""
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.watched = [each for each in watch.watched if each is not self.names]
            if not watch.watched:
                watch.end()

    @property
    def lag(self) -> float:
        """Seconds by which the loop is late: now if it is, else at its last heartbeat."""
        return 0.0 if self._watch is None else self._watch.lag

    @property
    def worst_lag(self) -> float:
        """The greatest lag of the last 10 to 20 seconds."""
        return 0.0 if self._watch is None else self._watch.worst

    @property
    def blocks(self) -> int:
        """How often the loop was blocked for longer than the threshold."""
        return 0 if self._watch is None else self._watch.blocks

    @property
    def culprit(self) -> str:
        """What blocked the loop last, with its line; empty where nothing did."""
        return "" if self._watch is None else self._watch.culprit


def _watch_of(loop: asyncio.AbstractEventLoop, threshold: float) -> "_Watch":
    """Return the thread that watches ``loop``, started where there is none."""
    for thread in threading.enumerate():
        if isinstance(thread, _Watch) and thread.loop is loop and not thread.ended:
            return thread
    watch = _Watch(loop, threshold)
    watch.first()
    watch.start()
    return watch


class _Watch(threading.Thread):
    """Looks at the heartbeat of one loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, threshold: float) -> None:
        super().__init__(name="daprflow-loop-watchdog", daemon=True)
        self.loop = loop
        self.watched: list[Mapping[CodeType, str]] = []
        self.blocks = 0
        self.culprit = ""
        self._threshold = threshold
        self._tick = min(threshold / PARTS, LONGEST_TICK)
        self._thread = threading.get_ident()
        self._foreign = Foreign()
        self._end = threading.Event()
        self._timer: asyncio.Handle | None = None
        self._base: FrameType | None = None
        now = time.monotonic()
        self._due = self._looked = self._resumed = now
        self._spent = time.process_time()
        self._beats = 0
        self._lag = 0.0
        self._worst = [0.0, 0.0]
        self._turned = now
        self._suspect: FrameType | None = None
        self._suspected = now
        self._told: Place | None = None
        self._told_at = 0  # the number of the heartbeat that was late
        self._block = 0.0
        self._loud = False
        self._quiet: dict[str, float] = {}

    @property
    def ended(self) -> bool:
        """Whether it looks no more."""
        return self._end.is_set()

    @property
    def lag(self) -> float:
        """Seconds by which the loop is late."""
        return max(self._lag, time.monotonic() - max(self._due, self._resumed))

    @property
    def worst(self) -> float:
        """The greatest lag for a while."""
        return max(*self._worst, self.lag)

    def first(self) -> None:
        """Have the loop say that it runs as soon as it can."""
        self._timer = self.loop.call_soon(self.beat)

    def beat(self) -> None:
        """Say that the loop runs; it calls this again and again."""
        now = time.monotonic()
        self._stood_still(now)
        lag = self._lag = max(0.0, now - max(self._due, self._resumed))
        if now - self._turned > WINDOW:
            self._worst = [0.0, self._worst[0]] if now - self._turned < 2 * WINDOW else [0.0, 0.0]
            self._turned = now
        self._worst[0] = max(self._worst[0], lag)
        if lag >= self._threshold:
            self.blocks += 1
            self._block = lag + self._tick / 2  # it began somewhere since the last one
        self._base = base_of(sys._getframe().f_back)  # noqa: SLF001 - the documented way
        self._due = now + self._tick
        self._beats += 1
        self._timer = self.loop.call_later(self._tick, self.beat)

    def end(self) -> None:
        """Look no more; called in the loop's thread."""
        self._end.set()
        if self._timer is not None:
            self._timer.cancel()
        self.join(LONGEST_TICK)
        self._base = self._suspect = None

    def run(self) -> None:
        """Look until the end, or that of a loop whose app nobody has stopped."""
        while not self._end.wait(self._tick) and not self.loop.is_closed():
            now = time.monotonic()
            held = self._stood_still(now)
            self._looked, self._spent = now, time.process_time()
            self._look(now, once=held)

    def _stood_still(self, now: float) -> bool:
        """See whether the process was stopped, or the machine slept: then nobody was late.

        A C function that keeps the interpreter to itself stops this thread as well, but it works:
        then this is true.
        """
        late = now - self._looked - self._tick
        if late <= SLACK:
            return False
        if time.process_time() - self._spent >= late / 2:
            return True
        self._resumed = now
        return False

    def _look(self, now: float, *, once: bool) -> None:
        """See what is told: with ``once`` a single look is enough, since there was no other."""
        beats = self._beats
        if self._told is not None:
            if beats == self._told_at:
                return
            self._tell_end(self._told)
        late = now - max(self._due, self._resumed)
        if late < self._threshold / 2 or not beats:
            self._suspect = None
            return
        frames = running(sys._current_frames().get(self._thread), self._base)  # noqa: SLF001 - the documented way
        outermost = frames[0] if frames else None
        # Several callbacks, one after the other: much work, but nobody who blocks.
        if outermost is not self._suspect:
            self._suspect, self._suspected = outermost, now
        known = once or now - self._suspected >= self._threshold / 2 - self._tick
        if outermost is not None and known and late >= self._threshold:
            place = place_of(frames, self.watched, self._foreign)
            self._suspect = None
            self._tell(place, late, now)
            self._told_at = beats

    def _tell(self, place: Place, late: float, now: float) -> None:
        self._told = place
        self.culprit = f"{place.handler or 'code'} at {place}"
        self._loud = now - self._quiet.get(place.where, -QUIET) >= QUIET
        if not self._loud:
            return
        if len(self._quiet) >= PLACES:
            self._quiet.clear()
        self._quiet[place.where] = now
        logger.error(
            "%s has blocked the event loop for %.1f s, at %s: probes and deliveries wait for it; "
            "await what takes long, or declare the handler with a plain 'def', which gets a thread",
            place.handler or "code outside of handlers",
            late,
            place,
        )

    def _tell_end(self, place: Place) -> None:
        self._told = None
        if self._loud:
            logger.warning(
                "%s no longer blocks the event loop; it did for %.1f s, at %s",
                place.handler or "code outside of handlers",
                self._block,
                place,
            )
