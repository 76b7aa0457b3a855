"""The database ``engine.db`` of a data folder: which tables it has, whoever opens it first."""

from pathlib import Path

from daprflow.sidecar.sqlite import SqliteWriter, versioned

FILE = "engine.db"
APPLICATION_ID = 0x64665F65
SCHEMA_VERSION = 3
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
)
CONFIGURATION = (
    """CREATE TABLE IF NOT EXISTS configuration_items (
        store TEXT NOT NULL,
        key TEXT NOT NULL,
        value TEXT NOT NULL,
        version TEXT NOT NULL,
        PRIMARY KEY (store, key)
    ) WITHOUT ROWID""",
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
)
TABLES = (*EVENTS, *CONFIGURATION, *LOCKS, *JOBS)
"""A table or a column that is added raises `SCHEMA_VERSION`; none is ever taken away."""


def engine_file(path: Path) -> SqliteWriter:
    """Return the database at ``path``, not opened yet; opening it adds what an older one lacks."""
    return SqliteWriter(path, versioned(APPLICATION_ID, SCHEMA_VERSION, TABLES))
