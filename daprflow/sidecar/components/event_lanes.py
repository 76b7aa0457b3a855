"""Lanes: events of one partition key, one at a time and in order."""

from collections import deque
from collections.abc import Mapping

from daprflow.sidecar.components.event_log import StoredEvent

PARTITION_KEY = "partitionKey"
LONGEST = 50_000
"""How many events may wait behind others; beyond, the queue waits, too."""


class Lanes:
    """Who of each partition key is on its way, and who waits behind it."""

    __slots__ = ("_first", "_lane", "_parked", "_waiting")

    def __init__(self) -> None:
        self._first: dict[str, int] = {}
        self._lane: dict[int, str] = {}
        self._waiting: dict[str, deque[tuple[int, int]]] = {}
        self._parked = 0

    @property
    def full(self) -> bool:
        """Whether too many wait to take up more."""
        return self._parked >= LONGEST

    @property
    def holding(self) -> bool:
        """Whether some wait behind others."""
        return self._parked > 0

    def enter(self, event: StoredEvent) -> bool:
        """Tell whether ``event`` may go now; one that may not waits for those before it."""
        lane = partition_of(event.metadata)
        if not lane:
            return True
        first = self._first.setdefault(lane, event.key)
        if first == event.key:
            self._lane[first] = lane
            return True
        self._waiting.setdefault(lane, deque()).append((event.key, event.attempt))
        self._parked += 1
        return False

    def leave(self, key: int) -> tuple[int, int] | None:
        """Note that an event is done; return key and attempts of the one that may go now."""
        lane = self._lane.pop(key, None)
        if lane is None:
            return None
        waiting = self._waiting.get(lane)
        if not waiting:
            del self._first[lane]
            return None
        following = waiting.popleft()
        self._parked -= 1
        if not waiting:
            del self._waiting[lane]
        self._first[lane] = following[0]
        self._lane[following[0]] = lane
        return following

    def clear(self) -> None:
        """Forget everybody."""
        self._first.clear()
        self._lane.clear()
        self._waiting.clear()
        self._parked = 0


def partition_of(metadata: Mapping[str, str] | None) -> str:
    """Return an event's partition key; empty where it has none."""
    return metadata.get(PARTITION_KEY, "") if metadata else ""
