"""The disk of a simulated engine: what is handed over, what is committed, what is known of it."""

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from daprflow.sidecar.engine_file import WORKFLOWS, EngineDatabase, EngineFile
from daprflow.sidecar.sqlite import MEMORY, SqliteWriter, _Job, _settle

T = TypeVar("T")


def new_image() -> bytes:
    """Return a database with nothing in it."""
    connection = sqlite3.connect(MEMORY, isolation_level=None)
    connection.execute("PRAGMA page_size=1024")
    for statement in WORKFLOWS:
        connection.execute(statement)
    image = connection.serialize()
    connection.close()
    return image


class SimulatedWriter(SqliteWriter):
    """The writer of an engine, without its thread: the world commits, and tells, when it likes.

    Attributes:
        jobs: what was handed over.
        told: what is committed, or was refused, and not yet known to who waits for it.
        dead: the process is gone; nothing is taken any more.
    """

    def __init__(self, image: bytes) -> None:
        super().__init__(MEMORY)
        self.jobs: list[_Job[object]] = []
        self.told: list[_Job[object]] = []
        self.dead = False
        connection = sqlite3.connect(MEMORY, isolation_level=None)
        connection.deserialize(image)
        self._writer = self._reader = connection

    async def open(self) -> None:
        """Do nothing: the image is there."""
        self._loop = asyncio.get_running_loop()

    async def close(self) -> None:
        """Wait for what was handed over."""
        waiting = [job.future for job in (*self.jobs, *self.told)]
        if waiting:
            await asyncio.wait(waiting)

    def submit(
        self, call: Callable[[sqlite3.Connection], T], /, **options: bool
    ) -> asyncio.Future[T]:
        """Hand over."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        if not self.dead:
            self.jobs.append(_Job(call, future, **options))  # type: ignore[arg-type]
        return future

    def commit(self, count: int, look: Callable[[sqlite3.Connection], None]) -> None:
        """Commit the first of what was handed over, as one transaction.

        Args:
            count: how much.
            look: called after each part of it.
        """
        batch, self.jobs = self.jobs[:count], self.jobs[count:]
        for job in batch:
            job.call = _watched(job.call, look)
        self._commit(batch)
        self.told += batch

    def refuse(self, count: int) -> None:
        """Have the first of what was handed over find the disk full."""
        batch, self.jobs = self.jobs[:count], self.jobs[count:]
        failure = self._refusal(sqlite3.OperationalError("database or disk is full"))
        for job in batch:
            job.error = failure
        self.told += batch

    def tell(self) -> None:
        """Let those know who wait."""
        batch, self.told = self.told, []
        _settle(batch)

    def crash(self) -> bytes:
        """Return what is on the disk, and take nothing any more."""
        self.dead = True
        self.jobs.clear()
        self.told.clear()
        return self.reader.serialize()

    def end(self) -> None:
        """Give the memory back."""
        self.reader.close()


def _watched(
    call: Callable[[sqlite3.Connection], T], look: Callable[[sqlite3.Connection], None]
) -> Callable[[sqlite3.Connection], T]:
    def called(connection: sqlite3.Connection) -> T:
        result = call(connection)
        look(connection)
        return result

    return called


def file_of(writer: SimulatedWriter) -> EngineFile:
    """Return the engine's file that a writer writes to."""
    database = EngineDatabase(Path(MEMORY))
    database.writer = writer
    return EngineFile(database)
