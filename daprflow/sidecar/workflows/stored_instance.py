"""One workflow in an actor state store: what is there of it, and what is to be written of it."""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from daprflow.sidecar.components.base import StateWrite
from daprflow.sidecar.workflows.framing import unframe_encoded
from daprflow.sidecar.workflows.state_layout import Extent, encode_text

if TYPE_CHECKING:
    from daprflow.sidecar.workflows.component_home import ComponentHome, Found

Writes = dict[str, StateWrite]
"""What is to be written, by key: of several writes of one key the last one counts."""


class StoredInstance:
    """What a store has of one instance once everything is written that was handed over.

    Attributes:
        home: where it is.
        keys: its keys.
        etag: of its metadata, None while there are none.
        broken: a write failed; what is known here is worth nothing any more.
        dropped: it is to be forgotten.
        wake: when it is to be woken, as the engine's file has it.
    """

    __slots__ = (
        "_custom",
        "_events",
        "_generation",
        "_history",
        "_history_stored",
        "_inbox",
        "_inbox_changed",
        "_inbox_stored",
        "_received",
        "_unsaid",
        "broken",
        "dropped",
        "etag",
        "home",
        "keys",
        "wake",
    )

    def __init__(self, home: "ComponentHome", instance_id: str, received: bytes | None) -> None:
        self.home = home
        self.keys = home.keys(instance_id)
        self.etag: str | None = None
        self.broken = False
        self.dropped = False
        self.wake: float | None = -1.0
        self._generation = 0
        self._inbox: list[tuple[int, bytes]] = []
        self._inbox_changed = 0
        self._inbox_stored = 0
        self._history = 0
        self._history_stored = 0
        self._events: list[bytes] = []
        self._custom: str | None = None
        self._received = received
        self._unsaid = {"custom"} if received is None else {"custom", "received"}

    def found(self, found: "Found", keys: Sequence[int]) -> None:
        """Take over what was read; ``keys`` are what its waiting events are known by."""
        self.etag = found.etag
        self._generation = found.extent.generation
        self._inbox = list(zip(keys, found.inbox, strict=True))
        self._inbox_changed = self._inbox_stored = len(keys)
        self._history = self._history_stored = found.extent.history
        self._custom, self._received = found.custom, found.received
        self._unsaid.clear()

    # ---- changes --------------------------------------------------------------------------------

    def arrive(self, key: int, event: bytes) -> None:
        """Add to what waits."""
        self._inbox.append((key, event))

    def consume(self, keys: Collection[int]) -> None:
        """Take away from what waits."""
        if keys:
            first = next((n for n, (key, _) in enumerate(self._inbox) if key in keys), None)
            if first is not None:
                self._inbox = [each for each in self._inbox if each[0] not in keys]
                self._inbox_changed = min(self._inbox_changed, first)

    def append(self, frame: bytes) -> None:
        """Add to what happened."""
        before = len(self._events)
        self._events.extend(unframe_encoded(frame))
        self._history += len(self._events) - before

    def forget_history(self) -> None:
        """Begin anew with what happens."""
        self._history = 0
        self._events.clear()

    def describe(self, generation: int, custom: str | None) -> None:
        """Note the generation and the custom status."""
        self._generation = generation
        if custom != self._custom:
            self._custom = custom
            self._unsaid.add("custom")

    def receive(self, received: bytes | None) -> None:
        """Note what history was passed on."""
        self._received = received
        self._unsaid.add("received")

    # ---- writes ---------------------------------------------------------------------------------

    def stage(self, writes: Writes) -> None:
        """Add what is to be written for the changes since the last time."""
        keys = self.keys
        if self.dropped:
            self._stage_end(writes)
            return
        for number in range(self._inbox_changed, len(self._inbox)):
            _put(writes, keys.inbox(number), self._inbox[number][1])
        for number in range(len(self._inbox), self._inbox_stored):
            _put(writes, keys.inbox(number), None)
        self._inbox_changed = self._inbox_stored = len(self._inbox)
        if self._history and "custom" in self._unsaid:
            _put(writes, keys.custom, encode_text(self._custom))
            self._unsaid.discard("custom")
        first = self._history - len(self._events)
        for number, event in enumerate(self._events, first):
            _put(writes, keys.history(number), event)
        for number in range(self._history, self._history_stored):
            _put(writes, keys.history(number), None)
        self._history_stored = self._history
        self._events.clear()
        if "received" in self._unsaid:
            _put(writes, keys.propagated, self._received)
            self._unsaid.discard("received")
        extent = Extent(len(self._inbox), self._history, self._generation)
        _put(writes, keys.metadata, extent.encode())

    def _stage_end(self, writes: Writes) -> None:
        keys = self.keys
        names = [keys.custom, keys.propagated, keys.metadata]
        names += [keys.inbox(number) for number in range(self._inbox_stored)]
        names += [keys.history(number) for number in range(self._history_stored)]
        for name in names:
            _put(writes, name, None)


def _put(writes: Writes, key: str, data: bytes | None) -> None:
    writes[key] = StateWrite(key, data)
