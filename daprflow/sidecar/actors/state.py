"""The state of actors in the app's actor state store, under the real runtime's keys."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

import msgspec

from daprflow.sidecar.components.base import (
    ComponentError,
    StateStore,
    StateWrite,
    StoredValue,
)

if TYPE_CHECKING:
    from daprflow.sidecar.loading import LoadedComponent

SEPARATOR = "||"
TTL = "ttlInSeconds"
_MARK = "actorstatestore"
_TRUE = frozenset({"y", "yes", "true", "t", "on", "1"})


class OperationRefused(ValueError):  # noqa: N818 - named for what happened
    """A step of a transaction makes no sense; the text is the real runtime's."""


class StateChange(msgspec.Struct, frozen=True):
    """One step of a transaction; ``data`` None deletes."""

    key: str
    data: bytes | None
    etag: str | None = None
    ttl: str | None = None


class ActorState:
    """The state that the actors of one app have.

    The app's id is part of every key, so two apps that host the same type do not share state. The
    ``keyPrefix`` of the store does not count.

    Args:
        store: the actor state store.
        app_id: whose actors they are.
        expiring: whether the feature ``ActorStateTTL`` is on.
    """

    def __init__(self, store: StateStore, app_id: str, *, expiring: bool) -> None:
        self._store = store
        self._app_id = app_id
        self._expiring = expiring

    async def get(self, kind: str, actor_id: str, key: str) -> StoredValue | None:
        """Return what an actor keeps under ``key``, None when there is nothing.

        Raises:
            ComponentError: the store refused.
        """
        return await self._store.get(self._key(kind, actor_id, key))

    async def transact(self, kind: str, actor_id: str, changes: Sequence[StateChange]) -> None:
        """Do every step or none.

        Raises:
            OperationRefused: a step makes no sense.
            ComponentError: the store refused.
        """
        writes = [self._write(kind, actor_id, change) for change in changes]
        if writes:
            await self._store.transact(writes)

    def _write(self, kind: str, actor_id: str, change: StateChange) -> StateWrite:
        if not change.key:
            raise OperationRefused("missing key")
        ttl: int | None = None
        if change.ttl is not None:
            if not self._expiring:
                text = f'{TTL} is not supported without the "ActorStateTTL" feature enabled'
                raise OperationRefused(text)
            ttl = self._store.parse_ttl(change.ttl) if change.ttl else None
        return StateWrite(self._key(kind, actor_id, change.key), change.data, change.etag, ttl=ttl)

    def _key(self, kind: str, actor_id: str, key: str) -> str:
        return SEPARATOR.join((self._app_id, kind, actor_id, key))


def actor_store(components: "Sequence[LoadedComponent]") -> "LoadedComponent | None":
    """Return the state store that says of itself that it keeps the state of actors.

    Raises:
        ComponentError: two of them say so.
    """
    found = [
        loaded
        for loaded in components
        if loaded.kind == "state" and loaded.context.metadata.get(_MARK, "").lower() in _TRUE
    ]
    if len(found) > 1:
        names = " and ".join(loaded.resource.name for loaded in found)
        raise ComponentError(
            f"detected duplicate actor state store: {names}; set actorStateStore on one alone"
        )
    return found[0] if found else None


def actor_state(
    components: "Sequence[LoadedComponent]", app_id: str, *, expiring: bool
) -> ActorState | None:
    """Return the state of an app's actors, None where no store is there for it.

    Raises:
        ComponentError: two stores are.
    """
    loaded = actor_store(components)
    if loaded is None:
        return None
    return ActorState(cast("StateStore", loaded.instance), app_id, expiring=expiring)
