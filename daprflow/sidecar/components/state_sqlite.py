"""``state.sqlite``: a table that a real runtime can open too."""

import asyncio
import contextlib
import logging
import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from daprflow.sidecar.clock import Timer
from daprflow.sidecar.components.base import (
    ComponentContext,
    ComponentError,
    StateWrite,
    StoredValue,
)
from daprflow.sidecar.components.durations import read_seconds
from daprflow.sidecar.components.state_tables import StateTables
from daprflow.sidecar.components.ttl import parse_sql_ttl
from daprflow.sidecar.sqlite import MEMORY, SQLITE_ERRORS, SqliteWriter

logger = logging.getLogger(__name__)

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TRUE = frozenset({"y", "yes", "true", "t", "on", "1"})
_AT_ONCE = 500


class SqliteState:
    """A table of values with ETags (UUIDs) and expiry; writes are committed in groups."""

    capabilities: tuple[str, ...] = ("ETAG", "TRANSACTIONAL", "TTL", "KEYS_LIKE", "ACTOR")
    missing_last = True

    def __init__(self, context: ComponentContext) -> None:
        metadata = context.metadata
        self._clock = context.clock
        self._metadata = metadata
        self._base_dir = context.base_dir
        self._tables = StateTables(
            _identifier(metadata, "tableName", "state"),
            _identifier(metadata, "metadataTableName", "metadata"),
        )
        self._writer: SqliteWriter | None = None
        self._cleanup: Timer | None = None
        self._cleaning: set[asyncio.Future[int]] = set()

    async def open(self) -> None:
        """Open the file and make the tables it lacks."""
        metadata = self._metadata
        text = metadata.get("connectionstring") or metadata.get("url") or ""
        self._writer = SqliteWriter(
            database_path(text, self._base_dir),
            self._tables.prepare,
            busy_timeout=_seconds(metadata, "busyTimeout", 2.0),
            wal=metadata.get("disablewal", "").lower() not in _TRUE,
        )
        _seconds(metadata, "timeout", 20.0)  # SQLite here knows no other limit than the busy one
        interval = _seconds(metadata, "cleanupInterval", 0.0)
        await self._writer.open()
        if interval > 0:
            self._clean_later(interval)

    async def close(self) -> None:
        """Finish what is being written, then close the file."""
        if self._cleanup is not None:
            self._cleanup.cancel()
        writer, self._writer = self._writer, None
        if writer is not None:
            await writer.close()

    def parse_ttl(self, text: str, /) -> int | None:
        """Read ``ttlInSeconds``; the error text is the real store's."""
        return parse_sql_ttl(text)

    async def get(self, key: str, /) -> StoredValue | None:
        """Return the stored value, None when absent or expired."""
        return self._read((key,)).get(key)

    async def get_many(self, keys: Sequence[str], /) -> list[StoredValue | None]:
        """Return the stored values in the order of ``keys``."""
        found: dict[str, StoredValue] = {}
        for start in range(0, len(keys), _AT_ONCE):
            found.update(self._read(keys[start : start + _AT_ONCE]))
        return [found.get(key) for key in keys]

    async def write(self, write: StateWrite, /) -> None:
        """Do one write, if its ETag allows it; it is on disk when this returns."""
        await self.transact((write,))

    async def transact(self, writes: Sequence[StateWrite], /) -> None:
        """Do all writes in order or none."""
        now = self._clock.now()

        def work(connection: sqlite3.Connection) -> None:
            for write in writes:
                self._tables.apply(connection, write, now)

        await self._opened().run(work)

    async def keys(self, prefix: str, suffix: str, /) -> list[str]:
        """Return the keys that begin and end so."""
        with self._opened().reading() as connection:
            return self._tables.keys(connection, prefix, suffix, self._clock.now())

    def items(self, connection: sqlite3.Connection) -> Iterator[tuple[str, StoredValue]]:
        """Give everything that ``connection`` sees, oldest row first."""
        return self._tables.everything(connection, self._clock.now())

    @contextlib.contextmanager
    def reading(self) -> Iterator[tuple[sqlite3.Connection, str]]:
        """Lend a connection for reads on the loop, and the file's path, empty in memory."""
        writer = self._opened()
        with writer.reading() as connection:
            yield connection, "" if writer.in_memory else writer.path

    def _read(self, keys: Sequence[str]) -> dict[str, StoredValue]:
        writer = self._opened()
        try:
            return self._tables.read(writer.reader, tuple(keys), self._clock.now())
        except SQLITE_ERRORS as error:
            raise writer.unusable(error) from error

    def _opened(self) -> SqliteWriter:
        if self._writer is None:
            raise ComponentError("the state store is closed")
        return self._writer

    def _clean_later(self, interval: float) -> None:
        self._cleanup = self._clock.call_at(
            self._clock.now() + interval, lambda: self._clean(interval)
        )

    def _clean(self, interval: float) -> None:
        self._clean_later(interval)
        now = self._clock.now()
        cleaning = self._opened().submit(lambda connection: self._tables.clean(connection, now))
        self._cleaning.add(cleaning)
        cleaning.add_done_callback(self._cleaned)

    def _cleaned(self, cleaning: asyncio.Future[int]) -> None:
        self._cleaning.discard(cleaning)
        if not cleaning.cancelled() and (error := cleaning.exception()) is not None:
            logger.warning("expired values could not be removed: %s", error)


def database_path(connection_string: str, base_dir: Path) -> str:
    """Return the path that a ``connectionString`` names, ``:memory:`` for one in memory.

    Raises:
        ComponentError: it names nothing.
    """
    text = connection_string.strip()
    path, _, query = text.removeprefix("file:").partition("?")
    if path == MEMORY or "mode=memory" in query.split("&"):
        return MEMORY
    if not path:
        raise ComponentError(
            "missing connection string; set 'connectionString' to a path such as 'data.db'"
        )
    return str(base_dir / path)


def _identifier(metadata: Mapping[str, str], name: str, default: str) -> str:
    text = metadata.get(name.lower()) or default
    if not _IDENTIFIER.fullmatch(text):
        raise ComponentError(
            f"{name} '{text}' is not a table name; use letters, digits and underscores"
        )
    return text


def _seconds(metadata: Mapping[str, str], name: str, default: float) -> float:
    """Read a duration: Go's form, or a bare number of seconds."""
    text = metadata.get(name.lower(), "").strip()
    return read_seconds(text, name) if text else default
