"""The workflows of one app in an actor state store: reading them, and writing them safely."""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import cast

from daprflow.sidecar.components.base import (
    ComponentError,
    ListingStore,
    StateStore,
    StoredValue,
)
from daprflow.sidecar.resiliency.guard import unguarded
from daprflow.sidecar.workflows.framing import frame_encoded
from daprflow.sidecar.workflows.state_layout import (
    Extent,
    Keys,
    decode_extent,
    decode_text,
    first_part,
    instance_of,
)
from daprflow.sidecar.workflows.stored_instance import StoredInstance, Writes

TORN_READS = 5
"""How often a state is read that somebody else changes meanwhile."""
AT_ONCE = 500
"""Instances that are looked at in one read."""


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
        return [(number, frame_encoded(event)) for number, event in enumerate(self.history)]


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

    async def save(self, writes: Writes, kept: Collection[StoredInstance]) -> None:
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
