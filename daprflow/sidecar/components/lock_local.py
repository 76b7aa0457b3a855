"""``lock.daprflow``: the built-in lock store, which stands in for every other one."""

import sqlite3
from dataclasses import dataclass

from daprflow.protocol.locks import Unlocked
from daprflow.sidecar.components.base import ComponentContext
from daprflow.sidecar.engine_file import engine_file_of

_TAKE = """INSERT INTO locks (store, resource, owner, expires) VALUES (?, ?, ?, ?)
    ON CONFLICT (store, resource) DO UPDATE
    SET owner = excluded.owner, expires = excluded.expires WHERE expires <= ?"""
_HOLDER = "SELECT owner FROM locks WHERE store = ? AND resource = ? AND expires > ?"
_FREE = "DELETE FROM locks WHERE store = ? AND resource = ?"
_CLEAN = "DELETE FROM locks WHERE store = ? AND expires <= ?"


def make_local_lock(context: ComponentContext) -> "MemoryLock | SqliteLock":
    """Return a lock store in the data folder, or in memory without one."""
    return MemoryLock(context) if context.data_dir is None else SqliteLock(context)


@dataclass(frozen=True, slots=True)
class _Lease:
    owner: str
    expires: float


class MemoryLock:
    """Locks of one process: gone with it."""

    capabilities: tuple[str, ...] = ()

    def __init__(self, context: ComponentContext) -> None:
        self._clock = context.clock
        self._leases: dict[str, _Lease] = {}

    async def open(self) -> None:
        """Have nothing to open."""

    async def close(self) -> None:
        """Have nothing to close."""

    async def try_lock(self, resource: str, owner: str, seconds: int, /) -> bool:
        """Take the lock for ``owner`` unless somebody has it, the owner included."""
        if self._holder(resource) is not None:
            return False
        self._leases[resource] = _Lease(owner, self._clock.now() + seconds)
        return True

    async def unlock(self, resource: str, owner: str, /) -> Unlocked:
        """Give the lock back if ``owner`` has it."""
        found = _verdict(self._holder(resource), owner)
        if found is Unlocked.SUCCESS:
            del self._leases[resource]
        return found

    def _holder(self, resource: str) -> str | None:
        lease = self._leases.get(resource)
        if lease is None:
            return None
        if lease.expires > self._clock.now():
            return lease.owner
        del self._leases[resource]
        return None


class SqliteLock:
    """Locks in ``engine.db``: they outlive the sidecar, and end when they expire."""

    capabilities: tuple[str, ...] = ()

    def __init__(self, context: ComponentContext) -> None:
        self._clock = context.clock
        self._store = context.name
        folder = context.data_dir or context.base_dir
        self._file = engine_file_of(context, folder)

    async def open(self) -> None:
        """Open the file and forget what has expired.

        Raises:
            ComponentError: it cannot be used.
        """
        await self._file.open()
        now = self._clock.now()
        await self._file.run(lambda connection: connection.execute(_CLEAN, (self._store, now)))

    async def close(self) -> None:
        """Close the file."""
        await self._file.close()

    async def try_lock(self, resource: str, owner: str, seconds: int, /) -> bool:
        """Take the lock for ``owner`` unless somebody has it, the owner included."""

        def take(connection: sqlite3.Connection) -> bool:
            now = self._clock.now()
            row = (self._store, resource, owner, now + seconds, now)
            return connection.execute(_TAKE, row).rowcount > 0

        return await self._file.run(take)

    async def unlock(self, resource: str, owner: str, /) -> Unlocked:
        """Give the lock back if ``owner`` has it."""

        def free(connection: sqlite3.Connection) -> Unlocked:
            address = (self._store, resource)
            row = connection.execute(_HOLDER, (*address, self._clock.now())).fetchone()
            found = _verdict(None if row is None else row[0], owner)
            if found is Unlocked.SUCCESS:
                connection.execute(_FREE, address)
            return found

        return await self._file.run(free)


def _verdict(holder: str | None, owner: str) -> Unlocked:
    if holder is None:
        return Unlocked.LOCK_DOES_NOT_EXIST
    return Unlocked.SUCCESS if holder == owner else Unlocked.LOCK_BELONGS_TO_OTHERS
