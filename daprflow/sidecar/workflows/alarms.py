"""Which instances have a timer, and when the first of them is due: one timer for all."""

import heapq
import itertools
from collections.abc import Callable

from daprflow.sidecar.clock import Clock, Timer

Key = tuple[str, str]
"""An app and an instance."""
SLACK = 64
"""Superseded entries that the queue may hold beside as many as there are alarms."""


class Alarms:
    """Calls for instances when they are due.

    Args:
        clock: the engine's.
        ring: called with an instance whose time has come.
    """

    def __init__(self, clock: Clock, ring: Callable[[Key], None]) -> None:
        self._clock = clock
        self._ring = ring
        self._due: dict[Key, float] = {}
        self._queue: list[tuple[float, int, Key]] = []
        self._order = itertools.count()
        self._timer: Timer | None = None
        self._timer_due = 0.0

    def set(self, key: Key, due: float | None) -> None:
        """Ring for an instance at ``due``, and at no other time; None forgets it."""
        if due is None:
            if self._due.pop(key, None) is not None:
                self._arm()
            return
        if self._due.get(key) == due:
            return
        self._due[key] = due
        heapq.heappush(self._queue, (due, next(self._order), key))
        if len(self._queue) > 2 * len(self._due) + SLACK:
            self._queue = [item for item in self._queue if self._is_current(item)]
            heapq.heapify(self._queue)
        self._arm()

    def drop(self, app_id: str) -> None:
        """Forget every instance of an app."""
        for key in [key for key in self._due if key[0] == app_id]:
            del self._due[key]
        self._arm()

    def close(self) -> None:
        """Forget everything."""
        self._due.clear()
        self._queue.clear()
        self._arm()

    def _is_current(self, item: tuple[float, int, Key]) -> bool:
        return self._due.get(item[2]) == item[0]

    def _arm(self) -> None:
        while self._queue and not self._is_current(self._queue[0]):
            heapq.heappop(self._queue)
        if self._timer is not None:
            if self._queue and self._timer_due == self._queue[0][0]:
                return
            self._timer.cancel()
            self._timer = None
        if self._queue:
            self._timer_due = self._queue[0][0]
            self._timer = self._clock.call_at(self._timer_due, self._come_due)

    def _come_due(self) -> None:
        self._timer = None
        now = self._clock.now()
        due: list[Key] = []
        while self._queue and self._queue[0][0] <= now:
            item = heapq.heappop(self._queue)
            if self._is_current(item):
                del self._due[item[2]]
                due.append(item[2])
        for key in due:
            self._ring(key)
        self._arm()
