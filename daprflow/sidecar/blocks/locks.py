"""The lock building block: stores by name, key prefixes, and Dapr's errors."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from daprflow.protocol import faults
from daprflow.protocol.locks import TryLock, Unlock, Unlocked
from daprflow.sidecar.components.base import ComponentError, LockStore

if TYPE_CHECKING:
    from daprflow.sidecar.runtime import Runtime

SEPARATOR = "||"
_PREFIX = "lock"


@dataclass(frozen=True, slots=True)
class _Store:
    component: LockStore
    prefix: str


class LocksBlock:
    """The lock stores that one app sees."""

    def __init__(self, runtime: "Runtime") -> None:
        self._stores = {
            loaded.resource.name: _Store(
                cast("LockStore", loaded.instance),
                lock_prefix(
                    loaded.context.metadata.get("keyprefix", "appid"),
                    loaded.resource.name,
                    runtime.app_id,
                ),
            )
            for loaded in runtime.components
            if loaded.kind == "lock"
        }

    async def try_lock(self, store: str, asked: TryLock) -> bool:
        """Take a lock; False when somebody has it, the owner that asks included."""
        if asked.expiry_in_seconds <= 0:
            raise faults.malformed(f"ExpiryInSeconds is not positive in lock store {store}")
        found = self._store(store, asked)
        try:
            resource = _key(found, asked)
            return await found.component.try_lock(
                resource, asked.lock_owner, asked.expiry_in_seconds
            )
        except ComponentError as error:
            raise faults.lock_try(str(error)) from error

    async def unlock(self, store: str, asked: Unlock) -> Unlocked:
        """Give a lock back."""
        found = self._store(store, asked)
        try:
            return await found.component.unlock(_key(found, asked), asked.lock_owner)
        except ComponentError as error:
            raise faults.lock_unlock(str(error)) from error

    def _store(self, name: str, asked: TryLock | Unlock) -> _Store:
        """Return the store; what is wrong is reported in the runtime's order."""
        if not self._stores:
            raise faults.lock_not_configured()
        if not asked.resource_id:
            raise faults.malformed(f"ResourceId is empty in lock store {name}")
        if not asked.lock_owner:
            raise faults.malformed(f"LockOwner is empty in lock store {name}")
        store = self._stores.get(name)
        if store is None:
            raise faults.lock_not_found(name)
        return store


def lock_prefix(strategy: str, store: str, app_id: str) -> str:
    """Return what stands before a resource's name in a store: ``lock||app1||`` by default.

    Raises:
        ComponentError: ``keyPrefix`` holds the separator.
    """
    strategy = strategy.lower()
    if SEPARATOR in strategy:
        raise ComponentError(_illegal(strategy))
    middle = {"none": "", "name": store, "appid": app_id}.get(strategy, strategy)
    return SEPARATOR.join((_PREFIX, middle, "") if middle else (_PREFIX, ""))


def _key(store: _Store, asked: TryLock | Unlock) -> str:
    if SEPARATOR in asked.resource_id:
        raise ComponentError(_illegal(asked.resource_id))
    return store.prefix + asked.resource_id


def _illegal(key: str) -> str:
    return f"input key/keyPrefix '{key}' can't contain '{SEPARATOR}'"
