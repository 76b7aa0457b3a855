"""Where workflows are kept: tables of an engine's file, or of a database in memory."""

import asyncio
import itertools
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from daprflow.sidecar.engine_file import EngineFile
from daprflow.sidecar.row_sum import require_sound, row_sum
from daprflow.sidecar.workflows.lanes import Lanes
from daprflow.sidecar.workflows.stored_instance import StoredInstance

CHUNK = 100
"""Events that are deleted by one statement: each hands the interpreter over."""
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
        kept: what its actor state store has of it; None where it is in the engine's tables.
    """

    id: int
    app_id: str
    instance_id: str
    generation: int
    custom: str | None = None
    received: bytes | None = None
    kept: StoredInstance | None = None


@dataclass(frozen=True, slots=True)
class Arrival:
    """An event that waits for an instance's next turn."""

    key: int
    event: bytes


@dataclass(frozen=True, slots=True)
class Noted:
    """What the engine knows of an instance in a state store: its row, and when to wake it."""

    id: int
    instance_id: str
    wake: float | None


@dataclass(frozen=True, slots=True)
class Ready:
    """An instance with something to do, and when."""

    app_id: str
    instance_id: str
    wake: float


class Changes:
    """Writes that are kept together or not at all.

    Attributes:
        kept: the instances among them that are in actor state stores, in order.
        is_mixed: whether there are some that are in the engine's tables.
        is_own: whether such a one came first.
    """

    __slots__ = ("_writes", "is_mixed", "is_own", "kept")

    def __init__(self) -> None:
        self._writes: list[tuple[str, Sequence[Any]]] = []
        self.kept: dict[StoredInstance, None] = {}
        self.is_mixed = False
        self.is_own = False

    def insert(self, row: Row, wake: float) -> None:
        """Keep a new instance."""
        if row.kept is not None:
            self._place(row, row.kept, wake)
            return
        sql = (
            "INSERT INTO workflows (id, app, instance, generation, custom, received, wake, sum) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
        )
        values = (row.id, row.app_id, row.instance_id, row.generation, row.custom, row.received)
        self._write(sql, (*values, wake, _sum_of(row)))

    def update(self, row: Row, wake: float | None) -> None:
        """Keep what changed of an instance; ``wake`` is None where it waits for others alone."""
        if row.kept is not None:
            self._touch(row.kept).describe(row.generation, row.custom)
            self.wake(row, row.kept, wake)
            return
        sql = "UPDATE workflows SET generation = ?, custom = ?, wake = ? WHERE id = ?"
        self._write(sql, (row.generation, row.custom, wake, row.id))

    def receive(self, row: Row) -> None:
        """Keep what history was passed on to an instance."""
        if row.kept is not None:
            self._touch(row.kept).receive(row.received)
            return
        sql = "UPDATE workflows SET received = ?, sum = ? WHERE id = ?"
        self._write(sql, (row.received, _sum_of(row), row.id))

    def rouse(self, row: Row) -> None:
        """Note that an instance has something to do."""
        if row.kept is not None:
            self.wake(row, row.kept, 0.0)
            return
        self._write("UPDATE workflows SET wake = 0 WHERE id = ?", (row.id,))

    def append(self, row: Row, step: int, events: bytes) -> None:
        """Add to a history."""
        if row.kept is not None:
            self._touch(row.kept).append(events)
            return
        sql = "INSERT INTO workflow_history (key, events, sum) VALUES (?, ?, ?)"
        key = row.id << STEPS | step
        self._write(sql, (key, events, row_sum(events, key)))

    def arrive(self, row: Row, arrival: Arrival) -> None:
        """Add to what waits for an instance."""
        if row.kept is not None:
            self._touch(row.kept).arrive(arrival.key, arrival.event)
            return
        sql = "INSERT INTO workflow_inbox (key, workflow, event, sum) VALUES (?, ?, ?, ?)"
        total = row_sum(arrival.event, arrival.key, row.id)
        self._write(sql, (arrival.key, row.id, arrival.event, total))

    def consume(self, row: Row, keys: Iterable[int]) -> None:
        """Take away what an instance was given."""
        if row.kept is not None:
            self._touch(row.kept).consume(frozenset(keys))
            return
        rest = iter(keys)
        while some := tuple(itertools.islice(rest, CHUNK)):
            marks = ",".join("?" * len(some))
            self._write(f"DELETE FROM workflow_inbox WHERE key IN ({marks})", some)  # noqa: S608 - marks only

    def forget_history(self, row: Row) -> None:
        """Drop a history."""
        if row.kept is not None:
            self._touch(row.kept).forget_history()
            return
        sql = "DELETE FROM workflow_history WHERE key BETWEEN ? AND ?"
        self._write(sql, _steps_of(row.id))

    def drop(self, row: Row) -> None:
        """Drop an instance and all that is kept of it."""
        if row.kept is not None:
            self._touch(row.kept).dropped = True
            self._writes.append(("DELETE FROM workflow_wakes WHERE id = ?", (row.id,)))
            return
        self.forget_history(row)
        self._write("DELETE FROM workflow_inbox WHERE workflow = ?", (row.id,))
        self._write("DELETE FROM workflows WHERE id = ?", (row.id,))

    def wake(self, row: Row, kept: StoredInstance, wake: float | None) -> None:
        """Note when an instance in a state store is to be woken, unless that is known."""
        if wake != kept.wake:
            kept.wake = wake
            sql = "UPDATE workflow_wakes SET wake = ? WHERE id = ?"
            self._writes.append((sql, (wake, row.id)))

    def index(self, row: Row, kept: StoredInstance, wake: float | None) -> None:
        """Note an instance that a state store has already."""
        kept.wake = wake
        sql = (
            "INSERT OR REPLACE INTO workflow_wakes (id, store, app, instance, wake) "
            "VALUES (?, ?, ?, ?, ?)"
        )
        values = (row.id, kept.home.name, row.app_id, row.instance_id, wake)
        self._writes.append((sql, values))

    @property
    def is_noted(self) -> bool:
        """Whether there is something to write to the engine's file."""
        return bool(self._writes)

    def apply(self, connection: sqlite3.Connection) -> None:
        """Write everything that is the engine's."""
        for sql, values in self._writes:
            connection.execute(sql, values)

    def _place(self, row: Row, kept: StoredInstance, wake: float) -> None:
        self._touch(kept).describe(row.generation, row.custom)
        self.index(row, kept, wake)

    def _touch(self, kept: StoredInstance) -> StoredInstance:
        self.kept[kept] = None
        return kept

    def _write(self, sql: str, values: Sequence[Any]) -> None:
        self._note_own()
        self._writes.append((sql, values))

    def _note_own(self) -> None:
        if not self.is_mixed:
            self.is_mixed = True
            self.is_own = not self.kept


class WorkflowStore:
    """Instances, their histories, and the events that wait for them.

    Those of apps that have an actor state store of their own are there; the engine's file has when
    they are to be woken.

    Args:
        file: the part's hold on the engine's database.
    """

    def __init__(self, file: EngineFile) -> None:
        self._file = file
        self._rows = itertools.count(1)
        self._keys = itertools.count(1)
        self.lanes = Lanes(file)

    async def open(self) -> list[Ready]:
        """Open the store and return the instances that have something to do, now or later.

        Raises:
            ComponentError: the file cannot be used.
        """
        await self._file.open()
        await self._file.run(_tidy)
        with self._file.reading() as connection:
            (last,) = connection.execute("SELECT max(id) FROM workflows").fetchone()
            (other,) = connection.execute("SELECT max(id) FROM workflow_wakes").fetchone()
            (newest,) = connection.execute("SELECT max(key) FROM workflow_inbox").fetchone()
            sql = "SELECT app, instance, wake FROM workflows WHERE wake IS NOT NULL ORDER BY id"
            ready = [Ready(*row) for row in connection.execute(sql)]
        self._rows = itertools.count(max(last or 0, other or 0) + 1)
        self._keys = itertools.count((newest or 0) + 1)
        return ready

    async def close(self) -> None:
        """Write what is left and close the store."""
        await self.lanes.rest()
        await self._file.close()

    def next_row(self) -> int:
        """Return an id for a new instance."""
        return next(self._rows)

    def next_key(self) -> int:
        """Return a key for an event; later ones are greater."""
        return next(self._keys)

    def commit(self, changes: Changes) -> asyncio.Future[None]:
        """Hand changes over; they happen in the order of these calls."""
        if changes.kept or self.lanes.engine_waits:
            return self.lanes.save(changes)
        return self._file.submit(changes.apply)

    # ---- instances in the engine's tables -------------------------------------------------------

    def find(self, app_id: str, instance_id: str) -> Row | None:
        """Return what is kept of an instance."""
        sql = (
            "SELECT id, app, instance, generation, custom, received, sum FROM workflows "
            "WHERE app = ? AND instance = ?"
        )
        with self._file.reading() as connection:
            found = connection.execute(sql, (app_id, instance_id)).fetchone()
            if found is None:
                return None
            *columns, total = found
            row = Row(*columns)
            require_sound(total, b"", row.id, row.app_id, row.instance_id, row.received)
        return row

    def wake(self, row: Row) -> float | None:
        """Return when an instance has something to do, as it is kept."""
        if row.kept is not None:
            return row.kept.wake
        with self._file.reading() as connection:
            found = connection.execute("SELECT wake FROM workflows WHERE id = ?", (row.id,))
            return next((wake for (wake,) in found), None)

    def history(self, row_id: int) -> list[tuple[int, bytes]]:
        """Return the steps of a history, each with its number."""
        sql = "SELECT key, events, sum FROM workflow_history WHERE key BETWEEN ? AND ? ORDER BY key"
        with self._file.reading() as connection:
            rows = connection.execute(sql, _steps_of(row_id)).fetchall()
            for key, events, total in rows:
                require_sound(total, events, key)
        mask = (1 << STEPS) - 1
        return [(key & mask, events) for key, events, _ in rows]

    def inbox(self, row_id: int) -> list[Arrival]:
        """Return what waits for an instance, in order."""
        sql = "SELECT key, event, sum FROM workflow_inbox WHERE workflow = ? ORDER BY key"
        with self._file.reading() as connection:
            rows = connection.execute(sql, (row_id,)).fetchall()
            for key, event, total in rows:
                require_sound(total, event, key, row_id)
        return [Arrival(key, event) for key, event, _ in rows]

    def ids(self, app_id: str, after: int, limit: int) -> list[tuple[int, str]]:
        """Return a page of an app's instances in the order of their making, with their rows."""
        sql = "SELECT id, instance FROM workflows WHERE app = ? AND id > ? ORDER BY id LIMIT ?"
        with self._file.reading() as connection:
            return connection.execute(sql, (app_id, after, limit)).fetchall()

    def ready(self, app_id: str) -> list[Ready]:
        """Return an app's instances that have something to do, now or later."""
        sql = "SELECT app, instance, wake FROM workflows WHERE app = ? AND wake IS NOT NULL"
        with self._file.reading() as connection:
            return [Ready(*row) for row in connection.execute(f"{sql} ORDER BY id", (app_id,))]

    # ---- when instances in state stores are to be woken -----------------------------------------

    def noted(self, store: str, app_id: str) -> list[Noted]:
        """Return what the engine knows of an app's instances in a state store."""
        sql = "SELECT id, instance, wake FROM workflow_wakes WHERE store = ? AND app = ?"
        with self._file.reading() as connection:
            rows = connection.execute(f"{sql} ORDER BY id", (store, app_id))
            return [Noted(*row) for row in rows]

    def note(self, store: str, app_id: str, instance_id: str) -> Noted | None:
        """Return what the engine knows of an instance in a state store."""
        sql = (
            "SELECT id, instance, wake FROM workflow_wakes "
            "WHERE store = ? AND app = ? AND instance = ?"
        )
        with self._file.reading() as connection:
            row = connection.execute(sql, (store, app_id, instance_id)).fetchone()
        return None if row is None else Noted(*row)

    def noted_ids(self, store: str, app_id: str, after: int, limit: int) -> list[tuple[int, str]]:
        """Return a page of an app's instances in a state store, as `ids` does."""
        sql = (
            "SELECT id, instance FROM workflow_wakes "
            "WHERE store = ? AND app = ? AND id > ? ORDER BY id LIMIT ?"
        )
        with self._file.reading() as connection:
            return connection.execute(sql, (store, app_id, after, limit)).fetchall()

    def apps_elsewhere(self) -> frozenset[str]:
        """Return the apps that have instances in state stores."""
        with self._file.reading() as connection:
            rows = connection.execute("SELECT DISTINCT app FROM workflow_wakes")
            return frozenset(app for (app,) in rows)

    async def forget_notes(self, row_ids: Sequence[int]) -> None:
        """Drop what the engine knows of instances that their state store does not have."""

        def work(connection: sqlite3.Connection) -> None:
            sql = "DELETE FROM workflow_wakes WHERE id = ?"
            connection.executemany(sql, [(row_id,) for row_id in row_ids])

        if row_ids:
            await self._file.run(work)


def _steps_of(row_id: int) -> tuple[int, int]:
    """Return the first and the last key that steps of an instance can have."""
    return row_id << STEPS, (row_id + 1 << STEPS) - 1


def _sum_of(row: Row) -> int:
    return row_sum(b"", row.id, row.app_id, row.instance_id, row.received)


def _tidy(connection: sqlite3.Connection) -> None:
    """Drop what arrived for instances that were purged meanwhile."""
    connection.execute(
        "DELETE FROM workflow_inbox WHERE workflow NOT IN (SELECT id FROM workflows)"
    )
