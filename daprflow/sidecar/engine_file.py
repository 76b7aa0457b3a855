"""The database ``engine.db`` of a data folder: which tables it has, and who has it open."""

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TypeVar

from daprflow.sidecar.components.base import ComponentContext
from daprflow.sidecar.sqlite import SqliteWriter, versioned

T = TypeVar("T")

FILE = "engine.db"
APPLICATION_ID = 0x64665F65
SCHEMA_VERSION = 7
EVENTS = (
    """CREATE TABLE IF NOT EXISTS event_groups (
        id INTEGER PRIMARY KEY,
        pubsub TEXT NOT NULL,
        topic TEXT NOT NULL,
        consumer TEXT NOT NULL,
        UNIQUE (pubsub, topic, consumer)
    )""",
    """CREATE TABLE IF NOT EXISTS events (
        key INTEGER PRIMARY KEY,
        data BLOB NOT NULL,
        metadata BLOB,
        content_type TEXT NOT NULL,
        attempt INTEGER NOT NULL,
        due REAL NOT NULL,
        expires REAL
    )""",
    """CREATE TABLE IF NOT EXISTS event_numbers (
        group_id INTEGER PRIMARY KEY,
        last INTEGER NOT NULL
    )""",
    "ALTER TABLE events ADD COLUMN sum INTEGER",
)
CONFIGURATION = (
    """CREATE TABLE IF NOT EXISTS configuration_items (
        store TEXT NOT NULL,
        key TEXT NOT NULL,
        value TEXT NOT NULL,
        version TEXT NOT NULL,
        PRIMARY KEY (store, key)
    ) WITHOUT ROWID""",
    "ALTER TABLE configuration_items ADD COLUMN sum INTEGER",
)
LOCKS = (
    """CREATE TABLE IF NOT EXISTS locks (
        store TEXT NOT NULL,
        resource TEXT NOT NULL,
        owner TEXT NOT NULL,
        expires REAL NOT NULL,
        PRIMARY KEY (store, resource)
    ) WITHOUT ROWID""",
)
JOBS = (
    """CREATE TABLE IF NOT EXISTS jobs (
        id INTEGER PRIMARY KEY,
        app TEXT NOT NULL,
        name TEXT NOT NULL,
        job BLOB NOT NULL,
        begin REAL NOT NULL,
        tick REAL NOT NULL,
        count INTEGER NOT NULL,
        attempts INTEGER NOT NULL,
        due REAL NOT NULL,
        UNIQUE (app, name)
    )""",
    "ALTER TABLE jobs ADD COLUMN sum INTEGER",
)
REMINDERS = (
    """CREATE TABLE IF NOT EXISTS reminders (
        id INTEGER PRIMARY KEY,
        type TEXT NOT NULL,
        actor TEXT NOT NULL,
        name TEXT NOT NULL,
        job BLOB NOT NULL,
        begin REAL NOT NULL,
        tick REAL NOT NULL,
        count INTEGER NOT NULL,
        attempts INTEGER NOT NULL,
        due REAL NOT NULL,
        UNIQUE (type, actor, name)
    )""",
    "ALTER TABLE reminders ADD COLUMN sum INTEGER",
)
WORKFLOWS = (
    """CREATE TABLE IF NOT EXISTS workflows (
        id INTEGER PRIMARY KEY,
        app TEXT NOT NULL,
        instance TEXT NOT NULL,
        generation INTEGER NOT NULL,
        custom TEXT,
        received BLOB,
        wake REAL,
        UNIQUE (app, instance)
    )""",
    """CREATE TABLE IF NOT EXISTS workflow_history (
        key INTEGER PRIMARY KEY,
        events BLOB NOT NULL
    )""",
    """CREATE TABLE IF NOT EXISTS workflow_inbox (
        key INTEGER PRIMARY KEY,
        workflow INTEGER NOT NULL,
        event BLOB NOT NULL
    )""",
    "CREATE INDEX IF NOT EXISTS workflow_inbox_of ON workflow_inbox (workflow)",
    """CREATE TABLE IF NOT EXISTS workflow_wakes (
        id INTEGER PRIMARY KEY,
        store TEXT NOT NULL,
        app TEXT NOT NULL,
        instance TEXT NOT NULL,
        wake REAL,
        UNIQUE (store, app, instance)
    )""",
    "ALTER TABLE workflows ADD COLUMN sum INTEGER",
    "ALTER TABLE workflow_history ADD COLUMN sum INTEGER",
    "ALTER TABLE workflow_inbox ADD COLUMN sum INTEGER",
)
TABLES = (*EVENTS, *CONFIGURATION, *LOCKS, *JOBS, *REMINDERS, *WORKFLOWS)
"""A table or a column that is added raises `SCHEMA_VERSION`; none is ever taken away.

A ``sum`` is a row's checksum, of all in it that does not change: see `row_sum`. Rows from before
version 7 have none.
"""


class EngineDatabase:
    """The file that all parts of one engine write to, through one thread.

    SQLite lets one connection write at a time and makes the others poll. With a connection for each
    part, they would wait for one another far longer than for the disk, some of them in vain; with
    one, what all of them write at the same time shares a commit. Opening it adds what an older file
    lacks.
    """

    def __init__(self, path: Path) -> None:
        self.writer = SqliteWriter(path, versioned(APPLICATION_ID, SCHEMA_VERSION, TABLES))
        self._users = 0
        self._changing = asyncio.Lock()

    async def enter(self) -> None:
        """Open the file for the first user.

        Raises:
            ComponentError: it cannot be used.
        """
        async with self._changing:
            if not self._users:
                await self.writer.open()
            self._users += 1

    async def leave(self) -> None:
        """Finish what was handed over and close the file after the last user."""
        async with self._changing:
            self._users -= 1
            if not self._users:
                await self.writer.close()


class EngineFile:
    """One part's hold on an `EngineDatabase`."""

    def __init__(self, database: EngineDatabase) -> None:
        self._database = database
        self._entered = False

    async def open(self) -> None:
        """Open the file, unless another part has.

        Raises:
            ComponentError: it cannot be used.
        """
        await self._database.enter()
        self._entered = True

    async def close(self) -> None:
        """Let go of the file; a part that does not have it may say so again."""
        if self._entered:
            self._entered = False
            await self._database.leave()

    def reading(self) -> AbstractContextManager[sqlite3.Connection]:
        """Lend a connection for point reads; see `SqliteWriter.reading`."""
        return self._database.writer.reading()

    async def run(self, call: Callable[[sqlite3.Connection], T], /) -> T:
        """Write and return the result after the commit; see `SqliteWriter.run`."""
        return await self._database.writer.submit(call)

    def submit(self, call: Callable[[sqlite3.Connection], T], /) -> asyncio.Future[T]:
        """Hand over what does nothing but write, and may run again; see `SqliteWriter.submit`."""
        return self._database.writer.submit(call, repeatable=True)


def engine_file(path: Path) -> EngineFile:
    """Return the database at ``path``, not opened yet, for one part that is alone with it."""
    return EngineFile(EngineDatabase(path))


def engine_file_of(context: ComponentContext, folder: Path) -> EngineFile:
    """Return the database of a component's engine, or the one in ``folder`` outside of any."""
    database = None if context.siblings is None else context.siblings.database
    return engine_file(folder / FILE) if database is None else EngineFile(database)
