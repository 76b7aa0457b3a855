"""Where workflows are kept: three tables of an engine's file, or of a database in memory."""

import asyncio
import itertools
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass
from typing import Any

from daprflow.sidecar.engine_file import EngineFile

STEPS = 24
"""Bits of a step's number in the key of what an instance's history grew by in it."""


@dataclass(frozen=True, slots=True)
class Row:
    """An instance as it is kept.

    Attributes:
        id: names it among all there were; an id that is used again gets another one.
        generation: how often it continued as new.
        custom: its custom status, None where it has none.
        received: the history that what started it passed on, encoded.
    """

    id: int
    app_id: str
    instance_id: str
    generation: int
    custom: str | None = None
    received: bytes | None = None


@dataclass(frozen=True, slots=True)
class Arrival:
    """An event that waits for an instance's next turn."""

    key: int
    event: bytes


@dataclass(frozen=True, slots=True)
class Ready:
    """An instance with something to do, and when."""

    app_id: str
    instance_id: str
    wake: float


class Changes:
    """Writes that are kept together or not at all."""

    __slots__ = ("_writes",)

    def __init__(self) -> None:
        self._writes: list[tuple[str, Sequence[Any]]] = []

    def insert(self, row: Row, wake: float) -> None:
        """Keep a new instance."""
        sql = (
            "INSERT INTO workflows (id, app, instance, generation, custom, received, wake) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)"
        )
        self._writes.append((sql, (*astuple(row), wake)))

    def update(self, row: Row, wake: float | None) -> None:
        """Keep what changed of an instance; ``wake`` is None where it waits for others alone."""
        sql = "UPDATE workflows SET generation = ?, custom = ?, wake = ? WHERE id = ?"
        self._writes.append((sql, (row.generation, row.custom, wake, row.id)))

    def receive(self, row: Row) -> None:
        """Keep what history was passed on to an instance."""
        sql = "UPDATE workflows SET received = ? WHERE id = ?"
        self._writes.append((sql, (row.received, row.id)))

    def rouse(self, row_id: int) -> None:
        """Note that an instance has something to do."""
        self._writes.append(("UPDATE workflows SET wake = 0 WHERE id = ?", (row_id,)))

    def append(self, row_id: int, step: int, events: bytes) -> None:
        """Add to a history."""
        sql = "INSERT INTO workflow_history (key, events) VALUES (?, ?)"
        self._writes.append((sql, (row_id << STEPS | step, events)))

    def arrive(self, row_id: int, arrival: Arrival) -> None:
        """Add to what waits for an instance."""
        sql = "INSERT INTO workflow_inbox (key, workflow, event) VALUES (?, ?, ?)"
        self._writes.append((sql, (arrival.key, row_id, arrival.event)))

    def consume(self, keys: Iterable[int]) -> None:
        """Take away what an instance was given."""
        sql = "DELETE FROM workflow_inbox WHERE key = ?"
        self._writes.extend((sql, (key,)) for key in keys)

    def forget_history(self, row_id: int) -> None:
        """Drop a history."""
        sql = "DELETE FROM workflow_history WHERE key BETWEEN ? AND ?"
        self._writes.append((sql, _steps_of(row_id)))

    def drop(self, row_id: int) -> None:
        """Drop an instance and all that is kept of it."""
        self.forget_history(row_id)
        self._writes.append(("DELETE FROM workflow_inbox WHERE workflow = ?", (row_id,)))
        self._writes.append(("DELETE FROM workflows WHERE id = ?", (row_id,)))

    def apply(self, connection: sqlite3.Connection) -> None:
        """Write everything."""
        for sql, values in self._writes:
            connection.execute(sql, values)


class WorkflowStore:
    """Instances, their histories, and the events that wait for them.

    Args:
        file: the part's hold on the engine's database.
    """

    def __init__(self, file: EngineFile) -> None:
        self._file = file
        self._rows = itertools.count(1)
        self._keys = itertools.count(1)

    async def open(self) -> list[Ready]:
        """Open the store and return the instances that have something to do, now or later.

        Raises:
            ComponentError: the file cannot be used.
        """
        await self._file.open()
        await self._file.run(_tidy)
        with self._file.reading() as connection:
            (last,) = connection.execute("SELECT max(id) FROM workflows").fetchone()
            (newest,) = connection.execute("SELECT max(key) FROM workflow_inbox").fetchone()
            sql = "SELECT app, instance, wake FROM workflows WHERE wake IS NOT NULL ORDER BY id"
            ready = [Ready(*row) for row in connection.execute(sql)]
        self._rows = itertools.count((last or 0) + 1)
        self._keys = itertools.count((newest or 0) + 1)
        return ready

    async def close(self) -> None:
        """Write what is left and close the store."""
        await self._file.close()

    def next_row(self) -> int:
        """Return an id for a new instance."""
        return next(self._rows)

    def next_key(self) -> int:
        """Return a key for an event; later ones are greater."""
        return next(self._keys)

    def commit(self, changes: Changes) -> asyncio.Future[None]:
        """Hand changes over; they happen in the order of these calls."""
        return self._file.submit(changes.apply)

    def find(self, app_id: str, instance_id: str) -> Row | None:
        """Return what is kept of an instance."""
        sql = (
            "SELECT id, app, instance, generation, custom, received FROM workflows "
            "WHERE app = ? AND instance = ?"
        )
        with self._file.reading() as connection:
            row = connection.execute(sql, (app_id, instance_id)).fetchone()
        return None if row is None else Row(*row)

    def history(self, row_id: int) -> list[tuple[int, bytes]]:
        """Return the steps of a history, each with its number."""
        sql = "SELECT key, events FROM workflow_history WHERE key BETWEEN ? AND ? ORDER BY key"
        with self._file.reading() as connection:
            rows = connection.execute(sql, _steps_of(row_id)).fetchall()
        mask = (1 << STEPS) - 1
        return [(key & mask, events) for key, events in rows]

    def inbox(self, row_id: int) -> list[Arrival]:
        """Return what waits for an instance, in order."""
        sql = "SELECT key, event FROM workflow_inbox WHERE workflow = ? ORDER BY key"
        with self._file.reading() as connection:
            return [Arrival(*row) for row in connection.execute(sql, (row_id,))]

    def ids(self, app_id: str, after: int, limit: int) -> list[tuple[int, str]]:
        """Return a page of an app's instances in the order of their making, with their rows."""
        sql = "SELECT id, instance FROM workflows WHERE app = ? AND id > ? ORDER BY id LIMIT ?"
        with self._file.reading() as connection:
            return connection.execute(sql, (app_id, after, limit)).fetchall()


def _steps_of(row_id: int) -> tuple[int, int]:
    """Return the first and the last key that steps of an instance can have."""
    return row_id << STEPS, (row_id + 1 << STEPS) - 1


def _tidy(connection: sqlite3.Connection) -> None:
    """Drop what arrived for instances that were purged meanwhile."""
    connection.execute(
        "DELETE FROM workflow_inbox WHERE workflow NOT IN (SELECT id FROM workflows)"
    )
