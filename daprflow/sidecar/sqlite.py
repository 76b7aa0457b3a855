"""SQLite with group commit: one writing thread, one commit for everything that waits."""

import asyncio
import contextlib
import logging
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import ClassVar, Generic, TypeVar

from daprflow.sidecar.components.base import ComponentError
from daprflow.sidecar.sqlite_check import refuse_damaged

logger = logging.getLogger(__name__)

MEMORY = ":memory:"
BATCH_LIMIT = 4096

_NO_ROOM = "the disk is full or fails; make room, and start again"
_NO_ACCESS = "make the file and its folder readable and writable, or name another path"
_TAKEN = "another program uses it; end that, and start again"
_REMEDIES = {
    sqlite3.SQLITE_IOERR: _NO_ROOM,
    sqlite3.SQLITE_FULL: _NO_ROOM,
    sqlite3.SQLITE_CANTOPEN: _NO_ACCESS,
    sqlite3.SQLITE_PERM: _NO_ACCESS,
    sqlite3.SQLITE_READONLY: _NO_ACCESS,
    sqlite3.SQLITE_BUSY: _TAKEN,
    sqlite3.SQLITE_LOCKED: _TAKEN,
}
"""What to do about a database that cannot be used; else the file itself is at fault."""
_DAMAGED = "restore the file from a copy, or move it away to start anew"
SQLITE_ERRORS = (sqlite3.Error, UnicodeDecodeError)
"""What SQLite refuses; of a damaged schema it says names that Python cannot read as text."""
_DAMAGES = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)

T = TypeVar("T")
Prepare = Callable[[sqlite3.Connection], None]
"""Makes or checks the tables of a database; raises `ComponentError` when they are not ours."""


@dataclass(slots=True)
class _Job(Generic[T]):
    """One function that waits for the writer, and its outcome.

    Attributes:
        repeatable: whether it may run again after what it did was undone.
    """

    call: Callable[[sqlite3.Connection], T]
    future: asyncio.Future[T]
    repeatable: bool = False
    result: T | None = None
    error: BaseException | None = None


class SqliteWriter:
    """One database file with one writing thread.

    Everything that was handed over while the thread was busy goes into one transaction, each
    function in a savepoint of its own (or all in one, while they may be repeated), and is answered
    after that transaction's commit (WAL, ``synchronous=FULL``: what is answered survives a power
    cut). A database in memory has none.

    Args:
        path: the file, or ``":memory:"``. Missing folders are made with mode 0700.
        prepare: run once after opening, in a transaction.
        busy_timeout: seconds to wait for another process's lock.
        wal: whether to use the write-ahead log.

    Attributes:
        connection_class: what connections are. Everything that is kept on disk goes through one, so
            that a class of a test's can fail, or end the process, at each step.
    """

    connection_class: ClassVar[type[sqlite3.Connection]] = sqlite3.Connection

    def __init__(
        self,
        path: str | Path,
        prepare: Prepare | None = None,
        *,
        busy_timeout: float = 2.0,
        wal: bool = True,
    ) -> None:
        self.path = str(path)
        self._prepare = prepare
        self._busy_timeout = busy_timeout
        self._wal = wal
        self._queue: SimpleQueue[_Job[object] | None] = SimpleQueue()
        self._writer: sqlite3.Connection | None = None
        self._reader: sqlite3.Connection | None = None
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._opened: tuple[int, int] | None = None

    @property
    def in_memory(self) -> bool:
        """Whether nothing is kept on disk."""
        return self.path == MEMORY

    @property
    def reader(self) -> sqlite3.Connection:
        """A connection for point reads on the event loop; it sees what is committed."""
        if self._reader is None:
            raise ComponentError(f"database '{self.path}' is not open")
        return self._reader

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Lend `reader`; what SQLite refuses is a `ComponentError` that names the file."""
        try:
            yield self.reader
        except SQLITE_ERRORS as error:
            raise self.unusable(error) from error

    def unusable(self, error: sqlite3.Error | UnicodeDecodeError) -> ComponentError:
        """Return what SQLite refused as an error that names the file and says what to do."""
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        remedy = _REMEDIES.get(code, _DAMAGED)
        return ComponentError(f"cannot use database '{self.path}': {_said(error)}; {remedy}")

    async def open(self) -> None:
        """Open the file, check it and start the thread.

        Raises:
            ComponentError: the file cannot be used; the text says why and what to do.
        """
        self._loop = asyncio.get_running_loop()
        if self.in_memory:
            self._writer = self._reader = self._connect()
            return
        await asyncio.to_thread(self._open_file)
        self._thread = threading.Thread(target=self._work, name="sqlite-writer", daemon=True)
        self._thread.start()

    async def close(self) -> None:
        """Finish what was handed over, then close the file."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._queue.put(None)
            await asyncio.to_thread(thread.join)
        connections = {self._reader, self._writer} - {None}
        self._reader = self._writer = None
        for connection in connections:
            if connection is not None:
                connection.close()

    async def run(self, call: Callable[[sqlite3.Connection], T], /) -> T:
        """Run ``call`` in the writer's transaction and return its result after the commit.

        Raises:
            ComponentError: SQLite refused (disk full, I/O error, locked for too long).
            Exception: whatever ``call`` raised; its own changes are undone, others' are kept.
        """
        return await self.submit(call)

    def submit(
        self, call: Callable[[sqlite3.Connection], T], /, *, repeatable: bool = False
    ) -> asyncio.Future[T]:
        """Hand over ``call`` at once and return the future of its result; see `run`.

        Args:
            call: writes.
            repeatable: whether it does nothing else, so that it may run again after what it did
                was undone. Many such calls cost less, as long as none fails.
        """
        if self._writer is None or self._loop is None:
            raise ComponentError(f"database '{self.path}' is not open")
        job: _Job[T] = _Job(call, self._loop.create_future(), repeatable)
        if self.in_memory:
            self._commit([job])
            _settle([job])
        elif self._thread is None:
            raise ComponentError(f"database '{self.path}' is closing")
        else:
            self._queue.put(job)  # type: ignore[arg-type]
        return job.future

    # ---- the writing thread ---------------------------------------------------------------------

    def _work(self) -> None:
        while (first := self._queue.get()) is not None:
            batch, last = self._gather(first)
            self._commit(batch)
            self._answer(batch)
            if last:
                return
            self._look_after_file()

    def _look_after_file(self) -> None:
        """Say once that the file was removed: SQLite goes on with one that has no name."""
        if self._opened is None or _identity(self.path) == self._opened:
            return
        self._opened = None
        logger.error(
            "database '%s' was removed, or another file put in its place, while it is in use: what "
            "it has is lost when this process ends; restart it now, to begin anew",
            self.path,
        )

    def _gather(self, first: _Job[object]) -> tuple[list[_Job[object]], bool]:
        batch = [first]
        with contextlib.suppress(Empty):
            while len(batch) < BATCH_LIMIT:
                job = self._queue.get_nowait()
                if job is None:
                    return batch, True
                batch.append(job)
        return batch, False

    def _answer(self, batch: list[_Job[object]]) -> None:
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self._loop.call_soon_threadsafe(_settle, batch)

    def _commit(self, batch: list[_Job[T]]) -> None:
        connection = self._writer
        if connection is None:  # pragma: no cover - the thread ends before the connection goes
            return
        try:
            connection.execute("BEGIN IMMEDIATE")
            if len(batch) == 1:
                batch[0].result = batch[0].call(connection)
            elif not all(job.repeatable for job in batch) or not _run_all(connection, batch):
                for job in batch:
                    self._run_one(connection, job)
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            _undo(connection)
            failure = self._refusal(error)
            for job in batch:
                job.error = failure
        except Exception as error:  # noqa: BLE001 - handed to whoever waits
            _undo(connection)
            for job in batch:
                job.error = error

    def _run_one(self, connection: sqlite3.Connection, job: _Job[T]) -> None:
        connection.execute("SAVEPOINT job")
        try:
            job.result = job.call(connection)
        except Exception as error:
            if not connection.in_transaction:
                raise  # SQLite has rolled everything back already (disk full, I/O error)
            connection.execute("ROLLBACK TO job")
            job.error = self._refusal(error) if isinstance(error, sqlite3.Error) else error
        connection.execute("RELEASE job")

    # ---- opening --------------------------------------------------------------------------------

    def _open_file(self) -> None:
        file = Path(self.path)
        try:
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise ComponentError(
                f"cannot make the folder of database '{self.path}': {error.strerror}; "
                "make it writable or name another path"
            ) from error
        _make_private(file)
        try:
            refuse_damaged(file, self._busy_timeout)
        except SQLITE_ERRORS as error:
            raise self.unusable(error) from error
        self._writer = self._connect()
        self._opened = _identity(self.path)
        try:
            self._reader = self._raw_connection()
        except sqlite3.Error as error:  # pragma: no cover - the writer has just opened it
            raise self.unusable(error) from error

    def _connect(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = None
        try:
            connection = self._raw_connection()
            wal = self._wal and not self.in_memory
            there = Path(self.path).is_file() and Path(self.path).stat().st_size > 0
            if wal and not there:
                connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("PRAGMA secure_delete=ON")  # not every build has it so
            connection.execute("BEGIN IMMEDIATE")
            if self._prepare is not None:
                self._prepare(connection)
            connection.execute("COMMIT")
            if wal and there:  # not before: a file that is refused stays as it is
                connection.execute("PRAGMA journal_mode=WAL")
        except SQLITE_ERRORS as error:
            if connection is not None:
                connection.close()
            raise self.unusable(error) from error
        except BaseException:
            if connection is not None:
                connection.close()
            raise
        return connection

    def _raw_connection(self) -> sqlite3.Connection:
        return sqlite3.connect(
            self.path,
            timeout=self._busy_timeout,
            isolation_level=None,
            check_same_thread=False,
            factory=self.connection_class,
            cached_statements=256,
            uri=self.path.startswith("file:"),
        )

    def _refusal(self, error: sqlite3.Error) -> ComponentError:
        if isinstance(error, sqlite3.OperationalError) and "full" in str(error):
            return ComponentError(
                f"disk is full, nothing was written to '{self.path}': {error}; make room"
            )
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGES:
            return self.unusable(error)
        return ComponentError(f"database '{self.path}' refused the write: {_said(error)}")


def versioned(application: int, version: int, statements: tuple[str, ...]) -> Prepare:
    """Return a `Prepare` for a database of our own with a schema version.

    Args:
        application: SQLite's ``application_id`` that marks the file as ours.
        version: of the schema; a file with a newer one is refused.
        statements: make the tables an empty database, or one of an older version, does not have
            (``CREATE TABLE IF NOT EXISTS``), or columns (``ALTER TABLE t ADD COLUMN c``).
    """

    def prepare(connection: sqlite3.Connection) -> None:
        (owner,) = connection.execute("PRAGMA application_id").fetchone()
        (found,) = connection.execute("PRAGMA user_version").fetchone()
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        file = connection.execute("PRAGMA database_list").fetchone()[2] or MEMORY
        if owner != application and (tables or owner):
            raise ComponentError(
                f"database '{file}' belongs to another program; "
                "name another path, or move the file away to start with an empty one"
            )
        if found > version:
            raise ComponentError(
                f"database '{file}' was written by a newer daprflow (schema {found}, this one "
                f"knows {version}); upgrade daprflow, or move the file away to start anew"
            )
        if found < version:
            for statement in statements:
                _change(connection, statement)
            connection.execute(f"PRAGMA application_id = {application}")
            connection.execute(f"PRAGMA user_version = {version}")

    return prepare


def _change(connection: sqlite3.Connection, statement: str) -> None:
    """Change a schema; a column that is there already is left, for SQLite cannot ask first."""
    try:
        connection.execute(statement)
    except sqlite3.OperationalError as error:
        if not str(error).startswith("duplicate column name"):
            raise


def _identity(path: str) -> tuple[int, int] | None:
    """Return what tells a file from another one with its name; None where there is none."""
    try:
        found = os.stat(path)  # noqa: PTH116 - after each commit, at a third of the price
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _said(error: sqlite3.Error | UnicodeDecodeError) -> str:
    """Return what SQLite says, without the stored text that it could not decode."""
    if isinstance(error, UnicodeDecodeError):
        return "it names bytes that are no text"
    return str(error).partition(" with text ")[0]


def _make_private(file: Path) -> None:
    """Make a missing file readable by this user only; SQLite gives its log the same mode.

    A file that cannot be made is left to SQLite, whose refusal says why.
    """
    with contextlib.suppress(OSError):
        os.close(os.open(file, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))


def _run_all(connection: sqlite3.Connection, batch: list[_Job[T]]) -> bool:
    """Run all in one savepoint; where one fails, nothing of them is left, and it returns false."""
    connection.execute("SAVEPOINT jobs")
    try:
        for job in batch:
            job.result = job.call(connection)
    except Exception:
        if not connection.in_transaction:
            raise  # SQLite has rolled everything back already (disk full, I/O error)
        connection.execute("ROLLBACK TO jobs")
        return False
    finally:
        if connection.in_transaction:
            connection.execute("RELEASE jobs")
    return True


def _undo(connection: sqlite3.Connection) -> None:
    """Roll back, unless SQLite already did so by itself."""
    if connection.in_transaction:
        with contextlib.suppress(sqlite3.Error):
            connection.execute("ROLLBACK")


def _settle(batch: list[_Job[T]]) -> None:
    for job in batch:
        if job.future.done():
            continue
        if job.error is not None:
            job.future.set_exception(job.error)
        else:
            job.future.set_result(job.result)  # type: ignore[arg-type]
