"""Where the built-in configuration store keeps its items: ``engine.db``, or memory."""

import sqlite3
from collections.abc import Sequence
from typing import Protocol

from daprflow.sidecar.components.base import ConfigurationValue
from daprflow.sidecar.engine_file import EngineFile
from daprflow.sidecar.row_sum import require_sound, row_sum

Items = dict[str, ConfigurationValue]


def stores_of(connection: sqlite3.Connection) -> list[str]:
    """Return the names of the stores that have items, in order."""
    rows = connection.execute("SELECT DISTINCT store FROM configuration_items ORDER BY store")
    return [store for (store,) in rows]


class ItemTable(Protocol):
    """Keeps the items of one store."""

    async def open(self) -> None:
        """Open it."""
        ...

    async def close(self) -> None:
        """Close it."""
        ...

    def read(self, keys: Sequence[str], /) -> Items:
        """Return the items that exist of ``keys``; no keys asks for all."""
        ...

    async def put(self, key: str, item: ConfigurationValue, /) -> None:
        """Keep one item."""
        ...

    async def remove(self, key: str, /) -> bool:
        """Forget one item; False when it was not there."""
        ...


class MemoryItems:
    """Items in memory: gone with the process."""

    def __init__(self) -> None:
        self._items: Items = {}

    async def open(self) -> None:
        """Have nothing to open."""

    async def close(self) -> None:
        """Have nothing to close."""

    def read(self, keys: Sequence[str], /) -> Items:
        """Return the items that exist of ``keys``; no keys asks for all."""
        if not keys:
            return dict(self._items)
        return {key: self._items[key] for key in keys if key in self._items}

    async def put(self, key: str, item: ConfigurationValue, /) -> None:
        """Keep one item."""
        self._items[key] = item

    async def remove(self, key: str, /) -> bool:
        """Forget one item."""
        return self._items.pop(key, None) is not None


class SqliteItems:
    """Items in ``engine.db``."""

    def __init__(self, file: EngineFile, store: str) -> None:
        self._store = store
        self._file = file

    async def open(self) -> None:
        """Open the file.

        Raises:
            ComponentError: it cannot be used.
        """
        await self._file.open()

    async def close(self) -> None:
        """Close the file."""
        await self._file.close()

    def read(self, keys: Sequence[str], /) -> Items:
        """Return the items that exist of ``keys``; no keys asks for all."""
        query = "SELECT key, value, version, sum FROM configuration_items WHERE store = ?"
        if keys:
            query += f" AND key IN ({', '.join('?' * len(keys))})"
        with self._file.reading() as connection:
            rows = connection.execute(query, (self._store, *keys)).fetchall()
            for key, value, version, total in rows:
                require_sound(total, b"", self._store, key, version, value)
        return {key: ConfigurationValue(value, version) for key, value, version, _ in rows}

    async def put(self, key: str, item: ConfigurationValue, /) -> None:
        """Keep one item; it survives a kill once this returns."""
        total = row_sum(b"", self._store, key, item.version, item.value)

        def write(connection: sqlite3.Connection) -> None:
            connection.execute(
                "INSERT INTO configuration_items (store, key, value, version, sum)"
                " VALUES (?, ?, ?, ?, ?) ON CONFLICT (store, key) DO UPDATE SET"
                " value = excluded.value, version = excluded.version, sum = excluded.sum",
                (self._store, key, item.value, item.version, total),
            )

        await self._file.run(write)

    async def remove(self, key: str, /) -> bool:
        """Forget one item."""

        def delete(connection: sqlite3.Connection) -> bool:
            done = connection.execute(
                "DELETE FROM configuration_items WHERE store = ? AND key = ?", (self._store, key)
            )
            return done.rowcount > 0

        return await self._file.run(delete)
