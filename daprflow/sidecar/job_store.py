"""Where scheduled jobs are kept: the engine's SQLite file, or memory."""

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from daprflow.protocol.jobs import JobRequest
from daprflow.sidecar.components.base import ComponentError
from daprflow.sidecar.engine_file import EngineFile
from daprflow.sidecar.job_plan import Progress
from daprflow.sidecar.row_sum import require_sound, row_sum

logger = logging.getLogger(__name__)

_job = msgspec.json.Decoder(JobRequest)


class StoredJob(msgspec.Struct):
    """One job of one app.

    Attributes:
        id: names this scheduling; the same name scheduled again gets another one.
        begin: when it was scheduled, epoch seconds; durations in ``job`` count from it.
    """

    id: int
    app: str
    name: str
    job: JobRequest
    begin: float
    progress: Progress


class JobStore(Protocol):
    """Keeps jobs and their progress. What is called later happens later."""

    async def open(self) -> list[StoredJob]:
        """Open the store and return what is in it."""
        ...

    def put(self, stored: StoredJob, /) -> Awaitable[None]:
        """Keep a job in place of one of the same name; to be awaited for its safety."""
        ...

    def remove(self, stored: StoredJob, /) -> Awaitable[None]:
        """Forget a job; to be awaited for its safety."""
        ...

    def note(self, stored: StoredJob, /) -> None:
        """Keep a job's progress; soon, not at once."""
        ...

    def finish(self, stored: StoredJob, /) -> None:
        """Forget a job that has no more ticks; soon, not at once."""
        ...

    async def close(self) -> None:
        """Write what is left and close the store."""
        ...


class MemoryJobStore:
    """Jobs that are gone with the process: whoever schedules them keeps them."""

    async def open(self) -> list[StoredJob]:
        """Start empty."""
        return []

    async def put(self, stored: StoredJob, /) -> None:
        """Do nothing."""

    async def remove(self, stored: StoredJob, /) -> None:
        """Do nothing."""

    def note(self, stored: StoredJob, /) -> None:
        """Do nothing."""

    def finish(self, stored: StoredJob, /) -> None:
        """Do nothing."""

    async def close(self) -> None:
        """Do nothing."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table of scheduled things.

    Attributes:
        name: the table's.
        keys: the columns that find one, none other of its rows having the same.
        split: gives their values for an app and a name.
        join: the other way round.
    """

    name: str
    keys: tuple[str, ...]
    split: Callable[[str, str], tuple[str, ...]]
    join: Callable[[Sequence[str]], tuple[str, str]]


JOBS = Table("jobs", ("app", "name"), lambda app, name: (app, name), lambda row: (row[0], row[1]))
_PROGRESS = ("tick", "count", "attempts", "due")


class SqliteJobStore:
    """Jobs in ``engine.db`` of a data folder; those that change together share a commit."""

    def __init__(self, file: EngineFile, table: Table = JOBS) -> None:
        self._writer = file
        self._table = table
        columns = ("id", *table.keys, "job", "begin", *_PROGRESS, "sum")
        names, places = ", ".join(columns), ", ".join("?" * len(columns))
        found = " AND ".join(f"{key} = ?" for key in table.keys)
        changed = ", ".join(f"{name} = ?" for name in _PROGRESS)
        self._insert = f"INSERT INTO {table.name} ({names}) VALUES ({places})"  # noqa: S608 - the names are the table's own
        self._select = f"SELECT {names} FROM {table.name}"  # noqa: S608 - likewise
        self._delete = f"DELETE FROM {table.name} WHERE {found}"  # noqa: S608 - likewise
        self._update = f"UPDATE {table.name} SET {changed} WHERE id = ?"  # noqa: S608 - likewise
        self._finish = f"DELETE FROM {table.name} WHERE id = ?"  # noqa: S608 - likewise

    async def open(self) -> list[StoredJob]:
        """Open the file and read every job.

        Raises:
            ComponentError: the file cannot be used.
        """
        await self._writer.open()
        try:
            return await asyncio.to_thread(self._read)
        except ComponentError:
            await self._writer.close()
            raise

    def put(self, stored: StoredJob, /) -> Awaitable[None]:
        """Write a job in place of one of the same name."""
        # What is written is what it is now: the scheduler goes on while the thread works.
        progress = stored.progress
        keys = self._table.split(stored.app, stored.name)
        job, begin = msgspec.json.encode(stored.job), float(stored.begin)
        row = (
            stored.id, *keys, job, begin,
            progress.tick, progress.count, progress.attempts, progress.due,
            row_sum(job, stored.id, *keys, begin),
        )  # fmt: skip

        def write(connection: sqlite3.Connection) -> None:
            connection.execute(self._delete, keys)
            connection.execute(self._insert, row)

        return self._writer.submit(write)

    def remove(self, stored: StoredJob, /) -> Awaitable[None]:
        """Delete a job."""
        keys = self._table.split(stored.app, stored.name)

        def write(connection: sqlite3.Connection) -> None:
            connection.execute(self._delete, keys)

        return self._writer.submit(write)

    def note(self, stored: StoredJob, /) -> None:
        """Write a job's progress; one that was replaced meanwhile is not touched."""
        progress = stored.progress
        row = (progress.tick, progress.count, progress.attempts, progress.due, stored.id)
        self._later(stored, lambda c: c.execute(self._update, row))

    def finish(self, stored: StoredJob, /) -> None:
        """Delete a job; one that was put in its place meanwhile is not touched."""
        self._later(stored, lambda c: c.execute(self._finish, (stored.id,)))

    async def close(self) -> None:
        """Write what is left and close the file."""
        await self._writer.close()

    def _read(self) -> list[StoredJob]:
        with self._writer.reading() as connection:
            return [self._stored(row) for row in connection.execute(self._select).fetchall()]

    def _stored(self, row: Sequence[Any]) -> StoredJob:
        id_, *keys, job, begin, tick, count, attempts, due, total = row
        require_sound(total, job, id_, *keys, begin)
        app, name = self._table.join(keys)
        progress = Progress(tick, count, attempts, due)
        return StoredJob(id_, app, name, _job.decode(job), begin, progress)

    def _later(self, stored: StoredJob, write: "_Write") -> None:
        """Hand a write over; where it fails, a tick may come twice after a restart."""

        def tell(done: asyncio.Future[object]) -> None:
            if not done.cancelled() and (error := done.exception()) is not None:
                logger.error("the progress of '%s' was not written: %s", stored.name, error)

        try:
            self._writer.submit(write).add_done_callback(tell)
        except ComponentError as error:
            logger.error("the progress of '%s' was not written: %s", stored.name, error)  # noqa: TRY400 - the text says it all


class _Write(Protocol):
    def __call__(self, connection: sqlite3.Connection, /) -> object: ...
