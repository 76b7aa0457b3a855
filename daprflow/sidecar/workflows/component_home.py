"""Workflows in an actor state store: what is there of one, and what is to be written of it."""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import cast

from daprflow.sidecar.components.base import (
    ComponentError,
    ListingStore,
    StateStore,
    StateWrite,
    StoredValue,
)
from daprflow.sidecar.resiliency.guard import unguarded
from daprflow.sidecar.workflows.state_layout import (
    Extent,
    Keys,
    decode_extent,
    decode_text,
    encode_text,
    first_part,
    framed,
    instance_of,
    unframed,
)

TORN_READS = 5
"""How often a state is read that somebody else changes meanwhile."""
AT_ONCE = 500
"""Instances that are looked at in one read."""

Writes = dict[str, StateWrite]
"""What is to be written, by key: of several writes of one key the last one counts."""


@dataclass(frozen=True, slots=True)
class Found:
    """An instance as a store has it.

    Attributes:
        extent: how much there is.
        etag: of the metadata.
        custom: its custom status.
        received: the history that was passed on to it, encoded.
        history: the events that happened, encoded.
        inbox: those that wait, encoded.
    """

    extent: Extent
    etag: str
    custom: str | None
    received: bytes | None
    history: Sequence[bytes]
    inbox: Sequence[bytes]

    def steps(self) -> list[tuple[int, bytes]]:
        """Return the history as an instance takes it, a step for each event."""
        return [(number, framed(event)) for number, event in enumerate(self.history)]


class ComponentHome:
    """The workflows of one app in a state store.

    Args:
        name: the component's.
        store: the component.
        app_id: the app.
        namespace: part of the keys.
    """

    def __init__(self, name: str, store: StateStore, app_id: str, namespace: str) -> None:
        self.name = name
        self.app_id = app_id
        self.store = store
        self._first = first_part(app_id, namespace)

    def keys(self, instance_id: str) -> Keys:
        """Return the keys of an instance."""
        return Keys(self._first, instance_id)

    async def load(self, instance_id: str) -> Found | None:
        """Read an instance; None where there is none.

        Metadata and events are read one after the other: where they do not fit, another process
        wrote between the two, and both are read again.

        Raises:
            ComponentError: the store cannot be read, or what it has is incomplete.
        """
        keys, seen, missing = self.keys(instance_id), "", ""
        for _ in range(TORN_READS):
            stored = await self.store.get(keys.metadata)
            if stored is None or not stored.data:
                return None
            missing, found = await self._read(keys, stored, instance_id)
            if found is not None:
                return found
            if seen == stored.etag:  # nobody wrote: it is not there
                break
            seen = stored.etag
            await asyncio.sleep(0)
        raise ComponentError(
            f"state store '{self.name}' has the metadata of workflow '{instance_id}', but not its "
            f"key '{missing}'; restore that, or delete every key of the workflow"
        )

    async def _read(
        self, keys: Keys, stored: StoredValue, instance_id: str
    ) -> tuple[str, Found | None]:
        """Return what is there, or the first key that is missing."""
        try:
            extent = decode_extent(stored.data)
        except ValueError as error:
            raise ComponentError(
                f"state store '{self.name}' has metadata of workflow '{instance_id}' that cannot "
                f"be read: {error}"
            ) from None
        events = [keys.inbox(number) for number in range(extent.inbox)]
        events += [keys.history(number) for number in range(extent.history)]
        values = await self.store.get_many([keys.custom, keys.propagated, *events])
        data: list[bytes] = []
        for key, value in zip(events, values[2:], strict=True):
            if isinstance(value, ComponentError):
                raise value
            if value is None:
                return key, None
            data.append(value.data)
        custom, received = map(_data, values[:2])
        return "", Found(
            extent,
            stored.etag,
            decode_text(custom) if custom else None,
            received or None,
            data[extent.inbox :],
            data[: extent.inbox],
        )

    async def listed(self) -> dict[str, int] | None:
        """Return all instances, and how many events wait for each; None where stores cannot list.

        Raises:
            ComponentError: the store cannot be read.
        """
        listing = unguarded(self.store)
        if not isinstance(listing, ListingStore):
            return None
        found: dict[str, int] = {}
        keys = await listing.keys(self._first, self.keys("").metadata[len(self._first) :])
        names = [name for name in (instance_of(key, self._first) for key in keys) if name]
        for start in range(0, len(names), AT_ONCE):
            chunk = names[start : start + AT_ONCE]
            values = await self.store.get_many([self.keys(name).metadata for name in chunk])
            for name, value in zip(chunk, values, strict=True):
                if isinstance(value, StoredValue) and value.data:
                    found[name] = _waiting(value.data)
        return found

    async def save(self, writes: Writes, kept: Collection["Kept"]) -> None:
        """Write, unless somebody else wrote about one of the instances meanwhile.

        Raises:
            EtagConflict: somebody did.
            ComponentError: the store refused.
        """
        by_key = {each.keys.metadata: each for each in kept}
        guarded = [
            replace(write, etag=by_key[key].etag) if key in by_key else write
            for key, write in writes.items()
        ]
        await self.store.transact(guarded)
        there = [key for key, each in by_key.items() if not each.dropped]
        if not there:
            return
        values = await self.store.get_many(there)
        for key, value in zip(there, values, strict=True):
            if isinstance(value, ComponentError):
                raise value
            by_key[key].etag = None if value is None else value.etag


class Kept:
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

    def __init__(self, home: ComponentHome, instance_id: str, received: bytes | None) -> None:
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

    def found(self, found: Found, keys: Sequence[int]) -> None:
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
        self._events.extend(unframed(frame))
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


def _waiting(data: bytes) -> int:
    """Return how many events wait; what cannot be read is looked at more closely, too."""
    try:
        return decode_extent(data).inbox
    except ValueError:
        return 1


def _data(value: StoredValue | ComponentError | None) -> bytes | None:
    if isinstance(value, ComponentError):
        raise value
    return None if value is None else value.data


def as_store(component: object) -> StateStore:
    """Return a component of the kind ``state`` as what it is."""
    return cast("StateStore", component)
