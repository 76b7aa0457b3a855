"""Where scheduled jobs are kept: the engine's SQLite file, or memory."""

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable
from typing import Protocol

import msgspec

from daprflow.protocol.jobs import JobRequest
from daprflow.sidecar.components.base import ComponentError
from daprflow.sidecar.engine_file import EngineFile
from daprflow.sidecar.job_plan import Progress

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


class SqliteJobStore:
    """Jobs in ``engine.db`` of a data folder; those that change together share a commit."""

    def __init__(self, file: EngineFile) -> None:
        self._writer = file

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
        row = (
            stored.id, stored.app, stored.name, msgspec.json.encode(stored.job), stored.begin,
            progress.tick, progress.count, progress.attempts, progress.due,
        )  # fmt: skip

        def write(connection: sqlite3.Connection) -> None:
            _delete(connection, stored.app, stored.name)
            connection.execute(
                "INSERT INTO jobs (id, app, name, job, begin, tick, count, attempts, due)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                row,
            )

        return self._writer.submit(write)

    def remove(self, stored: StoredJob, /) -> Awaitable[None]:
        """Delete a job."""
        return self._writer.submit(lambda c: _delete(c, stored.app, stored.name))

    def note(self, stored: StoredJob, /) -> None:
        """Write a job's progress; one that was replaced meanwhile is not touched."""
        progress = stored.progress
        row = (progress.tick, progress.count, progress.attempts, progress.due, stored.id)
        self._later(
            stored,
            lambda c: c.execute(
                "UPDATE jobs SET tick = ?, count = ?, attempts = ?, due = ? WHERE id = ?", row
            ),
        )

    def finish(self, stored: StoredJob, /) -> None:
        """Delete a job; one that was put in its place meanwhile is not touched."""
        self._later(stored, lambda c: c.execute("DELETE FROM jobs WHERE id = ?", (stored.id,)))

    async def close(self) -> None:
        """Write what is left and close the file."""
        await self._writer.close()

    def _read(self) -> list[StoredJob]:
        with self._writer.reading() as connection:
            rows = connection.execute(
                "SELECT id, app, name, job, begin, tick, count, attempts, due FROM jobs"
            ).fetchall()
        return [
            StoredJob(id_, app, name, _job.decode(job), begin, Progress(*progress))
            for id_, app, name, job, begin, *progress in rows
        ]

    def _later(self, stored: StoredJob, write: "_Write") -> None:
        """Hand a write over; where it fails, a tick may come twice after a restart."""

        def tell(done: asyncio.Future[object]) -> None:
            if not done.cancelled() and (error := done.exception()) is not None:
                logger.error("the progress of job '%s' was not written: %s", stored.name, error)

        try:
            self._writer.submit(write).add_done_callback(tell)
        except ComponentError as error:
            logger.error("the progress of job '%s' was not written: %s", stored.name, error)  # noqa: TRY400 - the text says it all


class _Write(Protocol):
    def __call__(self, connection: sqlite3.Connection, /) -> object: ...


def _delete(connection: sqlite3.Connection, app: str, name: str) -> None:
    connection.execute("DELETE FROM jobs WHERE app = ? AND name = ?", (app, name))
