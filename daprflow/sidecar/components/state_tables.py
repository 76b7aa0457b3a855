"""The tables of ``state.sqlite``, in the layout of the real store, and the SQL on them."""

import sqlite3
import sys
from base64 import b64decode, b64encode
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from daprflow.sidecar.components.base import (
    ComponentError,
    EtagConflict,
    StateWrite,
    StoredValue,
)
from daprflow.sidecar.components.sealed_etag import is_sound, sealed_etag
from daprflow.sidecar.row_sum import DAMAGED

Row = tuple[str, str | bytes, int, str, str | None]
"""key, value, is_binary, etag, expiration_time."""

_COLUMNS = frozenset({"key", "value", "is_binary", "etag", "expiration_time", "update_time"})
_LEVEL = "1"

# Names of tables cannot be parameters: checked ones are put in place of <state> and <marks>.
_MAKE_MARKS = (
    "CREATE TABLE IF NOT EXISTS <marks> (key TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL)"
)
_MAKE_STATE = """CREATE TABLE IF NOT EXISTS <state> (
    key TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL,
    is_binary BOOLEAN NOT NULL,
    etag TEXT NOT NULL,
    expiration_time TIMESTAMP DEFAULT NULL,
    update_time TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP)"""
_GET_MARK = "SELECT value FROM <marks> WHERE key = 'migrations'"
_SET_MARK = "INSERT INTO <marks> (key, value) VALUES ('migrations', ?)"
_COLUMNS_OF = "PRAGMA table_info(<state>)"
_PUT = """INSERT INTO <state> (key, value, is_binary, etag, expiration_time, update_time)
    VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET
    value = excluded.value, is_binary = excluded.is_binary, etag = excluded.etag,
    expiration_time = excluded.expiration_time, update_time = excluded.update_time"""
_PUT_FIRST = _PUT + " WHERE expiration_time <= ?"
_REPLACE = """UPDATE <state>
    SET value = ?, is_binary = ?, etag = ?, expiration_time = ?, update_time = ?
    WHERE key = ? AND etag = ? AND (expiration_time IS NULL OR expiration_time > ?)"""
_DELETE = "DELETE FROM <state> WHERE key = ?"
_DELETE_ETAG = """DELETE FROM <state>
    WHERE key = ? AND etag = ? AND (expiration_time IS NULL OR expiration_time > ?)"""
_CLEAN = "DELETE FROM <state> WHERE expiration_time <= ?"
_SELECT = "SELECT key, value, is_binary, etag, expiration_time FROM <state> WHERE key IN "

_KEYS = """SELECT key FROM <state> WHERE (expiration_time IS NULL OR expiration_time > ?)
    AND key >= ? AND key < ? AND (? = '' OR substr(key, -length(?)) = ?)"""
_SELECT_ALL = "SELECT key, value, is_binary, etag, expiration_time FROM <state> ORDER BY rowid"


class StateTables:
    """The SQL of one store; values are always parameters.

    Args:
        state: the table of values; the name is an identifier.
        marks: the table that says which layout the other one has; likewise.
    """

    def __init__(self, state: str, marks: str) -> None:
        self._state = state

        def named(statement: str) -> str:
            return statement.replace("<state>", state).replace("<marks>", marks)

        self._make_state, self._make_marks = named(_MAKE_STATE), named(_MAKE_MARKS)
        self._get_mark, self._set_mark = named(_GET_MARK), named(_SET_MARK)
        self._columns_of = named(_COLUMNS_OF)
        self._put, self._put_first = named(_PUT), named(_PUT_FIRST)
        self._replace = named(_REPLACE)
        self._delete, self._delete_etag = named(_DELETE), named(_DELETE_ETAG)
        self._clean = named(_CLEAN)
        self._select = named(_SELECT)
        self._select_all = named(_SELECT_ALL)
        self._select_one = self._select + "(?)"
        self._keys = named(_KEYS)

    def prepare(self, connection: sqlite3.Connection) -> None:
        """Make the tables, with the mark that keeps a real store from making them again.

        Raises:
            ComponentError: a table of that name holds something else.
        """
        connection.execute(self._make_marks)
        if connection.execute(self._get_mark).fetchone() is None:
            connection.execute(self._make_state)
            connection.execute(self._set_mark, (_LEVEL,))
        columns = {row[1] for row in connection.execute(self._columns_of)}
        if not columns >= _COLUMNS:
            file = connection.execute("PRAGMA database_list").fetchone()[2] or ":memory:"
            raise ComponentError(
                f"table '{self._state}' is not a state table in '{file}'; name another "
                "file, or another tableName and metadataTableName"
            )

    def read(
        self, connection: sqlite3.Connection, keys: tuple[str, ...], now: float
    ) -> dict[str, StoredValue]:
        """Return what is stored under ``keys`` and has not expired."""
        query = self._select_one
        if len(keys) != 1:
            query = f"{self._select}({', '.join('?' * len(keys))})"
        rows: list[Row] = connection.execute(query, keys).fetchall()
        at = time_text(now)
        return {row[0]: stored for row in rows if (stored := _stored(row, at)) is not None}

    def keys(
        self, connection: sqlite3.Connection, prefix: str, suffix: str, now: float
    ) -> list[str]:
        """Return the keys of what has not expired that begin and end so."""
        parameters = (time_text(now), prefix, beyond(prefix), suffix, suffix, suffix)
        return [key for (key,) in connection.execute(self._keys, parameters)]

    def everything(
        self, connection: sqlite3.Connection, now: float
    ) -> Iterator[tuple[str, StoredValue]]:
        """Give all that has not expired, in the order in which the keys were first written."""
        at = time_text(now)
        for row in connection.execute(self._select_all):
            if (stored := _stored(row, at)) is not None:
                yield row[0], stored

    def apply(self, connection: sqlite3.Connection, write: StateWrite, now: float) -> None:
        """Do one write.

        Raises:
            EtagConflict: the row is not what the write expects.
        """
        at = time_text(now)
        if write.data is not None:
            done = self._store(connection, write, write.data, now)
        elif write.etag:
            done = connection.execute(self._delete_etag, (write.key, write.etag, at))
        else:
            connection.execute(self._delete, (write.key,))
            return
        if not done.rowcount:
            raise EtagConflict

    def clean(self, connection: sqlite3.Connection, now: float) -> int:
        """Remove what has expired and return how much that was."""
        return connection.execute(self._clean, (time_text(now),)).rowcount

    def _store(
        self, connection: sqlite3.Connection, write: StateWrite, data: bytes, now: float
    ) -> sqlite3.Cursor:
        at = time_text(now)
        text, raw, is_binary = _column(data)
        expires = time_text(now + write.ttl) if write.ttl and write.ttl > 0 else None
        etag = sealed_etag(write.key, raw, is_binary, expires)
        if write.etag:
            row = (text, is_binary, etag, expires, at, write.key, write.etag, at)
            return connection.execute(self._replace, row)
        values = (write.key, text, is_binary, etag, expires, at)
        if write.first_write:
            return connection.execute(self._put_first, (*values, at))
        return connection.execute(self._put, values)


def beyond(prefix: str) -> str:
    """Return what comes after all texts that begin with ``prefix``."""
    return prefix + chr(sys.maxunicode)


def time_text(moment: float) -> str:
    """Return a time as SQLite compares it: UTC, with milliseconds where there are any."""
    rounded = datetime.fromtimestamp(moment, UTC) + timedelta(microseconds=500)
    text = rounded.strftime("%Y-%m-%d %H:%M:%S")
    milliseconds = rounded.microsecond // 1000
    return f"{text}.{milliseconds:03d}" if milliseconds else text


def _stored(row: Row, at: str) -> StoredValue | None:
    """Return what a row holds; None where it had expired by then.

    Raises:
        sqlite3.DatabaseError: it is not what was written.
    """
    key, value, is_binary, etag, expires = row
    try:
        data = value if isinstance(value, bytes) else value.encode()
        if not is_sound(etag, key, data, is_binary, expires):
            raise sqlite3.DatabaseError(DAMAGED)
        if expires is not None and expires <= at:
            return None
        return StoredValue(b64decode(data) if is_binary else data, etag, _moment(expires))
    except (AttributeError, TypeError, ValueError) as error:
        raise sqlite3.DatabaseError(DAMAGED) from error


def _moment(text: str | None) -> float | None:
    if text is None:
        return None
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _column(data: bytes) -> tuple[str, bytes, int]:
    """Return what stands in the table: text as it is, anything else as base64 with a mark.

    The second is the first one encoded.
    """
    if b"\0" not in data:
        try:
            return data.decode(), data, 0
        except UnicodeDecodeError:
            pass
    raw = b64encode(data)
    return raw.decode("ascii"), raw, 1
