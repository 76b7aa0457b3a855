"""Where the durable broker keeps its events: a SQLite file, or memory."""

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeVar

import msgspec

from daprflow.sidecar.components.base import ComponentError
from daprflow.sidecar.engine_file import EngineFile
from daprflow.sidecar.row_sum import require_sound, row_sum

logger = logging.getLogger(__name__)

SEQUENCE_BITS = 40
"""A key is a group's id above a sequence number, so that one B-tree holds all in order."""

CHUNK = 64
ACK_DELAY = 0.02
"""Seconds that acknowledgements wait for a publish to share its commit with."""
ACK_LIMIT = 512
MEMORY_LIMIT = 256 * 1024 * 1024

T = TypeVar("T")

_NOTE_NUMBER = """INSERT INTO event_numbers (group_id, last) VALUES (?, ?)
    ON CONFLICT (group_id) DO UPDATE SET last = max(last, excluded.last)"""

_SELECT = "SELECT key, data, metadata, content_type, attempt, due, expires, sum FROM events"

_metadata = msgspec.json.Decoder(dict[str, str])


class StoredEvent(msgspec.Struct):
    """One event as it waits for one consumer group.

    Attributes:
        attempt: failed attempts so far.
        due: when the next attempt may start, epoch seconds; 0 at once.
        expires: when it is forgotten; None never.
    """

    key: int
    data: bytes
    metadata: Mapping[str, str] | None
    content_type: str
    attempt: int = 0
    due: float = 0.0
    expires: float | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """A consumer group of one topic; ``last`` is the highest sequence number in use."""

    id: int
    topic: str
    consumer: str
    last: int


class EventLog(Protocol):
    """Keeps events and groups."""

    bounded: bool
    """Whether events should stay here rather than wait in a queue's memory."""
    unclaimed_limit: int
    """How many events of a topic are kept while nobody has ever subscribed to it."""

    async def open(self, accepted: Callable[[StoredEvent], None], /) -> list[Group]:
        """Open the log; ``accepted`` is called for each event, in order, once it is kept."""
        ...

    async def add_group(self, topic: str, consumer: str, /) -> Group:
        """Make a group known."""
        ...

    async def rename_group(self, group: Group, consumer: str, /) -> Group:
        """Give a group, with all that waits in it, to another consumer."""
        ...

    async def publish(self, events: Sequence[StoredEvent], /) -> None:
        """Keep ``events``; returns when they are."""
        ...

    def forget(self, key: int, /) -> None:
        """Drop an event that is done; soon, not at once."""
        ...

    def postpone(self, event: StoredEvent, /) -> None:
        """Keep an event's attempts and due time; soon, not at once."""
        ...

    def page(self, group: int, after: int, rows: int, size: int, /) -> list[StoredEvent]:
        """Return events of ``group`` with a key above ``after``, in order, within the limits."""
        ...

    def find(self, key: int, /) -> StoredEvent | None:
        """Return one event."""
        ...

    async def flush(self) -> None:
        """Wait until everything that was to be done soon is done."""
        ...

    async def close(self) -> None:
        """Flush and close."""
        ...


@dataclass(slots=True)
class _Pending:
    """What the next transaction will hold."""

    events: list[StoredEvent] = field(default_factory=list)
    waiters: list[asyncio.Future[None]] = field(default_factory=list)
    forgotten: list[int] = field(default_factory=list)
    postponed: list[tuple[int, float, int]] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.events or self.forgotten or self.postponed or self.waiters)


class SqliteLog:
    """Events in ``engine.db``: everything that waits goes into one transaction."""

    bounded = True
    unclaimed_limit = 10_000

    def __init__(self, file: EngineFile, pubsub: str) -> None:
        self._pubsub = pubsub
        self._writer = file
        self._accepted: Callable[[StoredEvent], None] = _ignore
        self._next = _Pending()
        self._running: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def open(self, accepted: Callable[[StoredEvent], None], /) -> list[Group]:
        """Open the file and read the groups."""
        self._accepted = accepted
        await self._writer.open()
        try:
            with self._writer.reading() as connection:
                rows = connection.execute(
                    "SELECT id, topic, consumer FROM event_groups WHERE pubsub = ?", (self._pubsub,)
                ).fetchall()
                return [
                    Group(id_, topic, consumer, self._last(connection, id_))
                    for id_, topic, consumer in rows
                ]
        except ComponentError:
            await self._writer.close()
            raise

    @staticmethod
    def _last(connection: sqlite3.Connection, group: int) -> int:
        low, high = group << SEQUENCE_BITS, (group + 1) << SEQUENCE_BITS
        (last,) = connection.execute(
            "SELECT max(key) FROM events WHERE key >= ? AND key < ?", (low, high)
        ).fetchone()
        done = connection.execute(
            "SELECT last FROM event_numbers WHERE group_id = ?", (group,)
        ).fetchone()
        return max(0 if last is None else int(last) - low, 0 if done is None else int(done[0]))

    async def add_group(self, topic: str, consumer: str, /) -> Group:
        """Write a new group and return it."""

        def insert(connection: sqlite3.Connection) -> int:
            cursor = connection.execute(
                "INSERT INTO event_groups (pubsub, topic, consumer) VALUES (?, ?, ?)",
                (self._pubsub, topic, consumer),
            )
            return int(cursor.lastrowid or 0)

        return Group(await self._writer.run(insert), topic, consumer, 0)

    async def rename_group(self, group: Group, consumer: str, /) -> Group:
        """Write a group's new consumer."""

        def update(connection: sqlite3.Connection) -> None:
            connection.execute(
                "UPDATE event_groups SET consumer = ? WHERE id = ?", (consumer, group.id)
            )

        await self._writer.run(update)
        return replace(group, consumer=consumer)

    async def publish(self, events: Sequence[StoredEvent], /) -> None:
        """Keep ``events``; they share a commit with whatever else waits."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._next.events.extend(events)
        self._next.waiters.append(future)
        self._kick()
        await future

    def forget(self, key: int, /) -> None:
        """Delete an event with one of the next commits."""
        self._next.forgotten.append(key)
        self._kick_later()

    def postpone(self, event: StoredEvent, /) -> None:
        """Write attempts and due time with one of the next commits."""
        self._next.postponed.append((event.attempt, event.due, event.key))
        self._kick_later()

    def page(self, group: int, after: int, rows: int, size: int, /) -> list[StoredEvent]:
        """Read a page of events, at least one."""
        low, high = group << SEQUENCE_BITS, (group + 1) << SEQUENCE_BITS
        events: list[StoredEvent] = []
        with self._writer.reading() as connection:
            cursor = connection.execute(
                f"{_SELECT} WHERE key > ? AND key < ? ORDER BY key LIMIT ?",
                (max(low, after), high, rows),
            )
            for row in cursor:
                events.append(_event(row))
                size -= len(events[-1].data)
                if size <= 0:
                    break
            cursor.close()
        return events

    def find(self, key: int, /) -> StoredEvent | None:
        """Read one event."""
        with self._writer.reading() as connection:
            row = connection.execute(f"{_SELECT} WHERE key = ?", (key,)).fetchone()
            return None if row is None else _event(row)

    async def flush(self) -> None:
        """Wait until nothing is left to write."""
        while self._next or self._running is not None:
            self._kick()
            if self._running is None:
                return
            await asyncio.wait({self._running})

    async def close(self) -> None:
        """Write what is left and close the file."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        await self.flush()
        await self._writer.close()

    # ---- transactions ---------------------------------------------------------------------------

    def _kick_later(self) -> None:
        """Let acknowledgements wait for a publish, but not for long."""
        if len(self._next.forgotten) >= ACK_LIMIT:
            self._kick()
        elif self._timer is None and self._running is None:
            self._timer = asyncio.get_running_loop().call_later(ACK_DELAY, self._kick)

    def _kick(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._running is not None or not self._next:
            return
        batch, self._next = self._next, _Pending()
        try:
            self._running = self._writer.submit(lambda connection: _write(connection, batch))
        except ComponentError as error:
            self._refused(batch, error)
            return
        self._running.add_done_callback(lambda done: self._written(batch, done))

    def _written(self, batch: _Pending, done: asyncio.Future[None]) -> None:
        self._running = None
        error = done.exception()
        if error is not None:
            self._refused(batch, error)
        else:
            for event in batch.events:
                self._accepted(event)
            for waiter in batch.waiters:
                if not waiter.done():
                    waiter.set_result(None)
        if self._next.waiters:
            self._kick()
        elif self._next:
            self._kick_later()

    def _refused(self, batch: _Pending, error: BaseException) -> None:
        """Fail the publishers; what was done with other events is written when it can be."""
        if not isinstance(error, ComponentError):
            error = ComponentError(f"events could not be written: {error}")
        self._next.forgotten[:0] = batch.forgotten
        self._next.postponed[:0] = batch.postponed
        for waiter in batch.waiters:
            if not waiter.done():
                waiter.set_exception(error)
        logger.error("%s", error)


class MemoryLog:
    """Events in memory: gone with the process."""

    bounded = False
    unclaimed_limit = 100

    def __init__(self, limit: int = MEMORY_LIMIT) -> None:
        self._limit = limit
        self._size = 0
        self._groups = 0
        self._events: dict[int, StoredEvent] = {}
        self._accepted: Callable[[StoredEvent], None] = _ignore

    async def open(self, accepted: Callable[[StoredEvent], None], /) -> list[Group]:
        """Start empty."""
        self._accepted = accepted
        return []

    async def add_group(self, topic: str, consumer: str, /) -> Group:
        """Number a new group."""
        self._groups += 1
        return Group(self._groups, topic, consumer, 0)

    async def rename_group(self, group: Group, consumer: str, /) -> Group:
        """Return the group under its new name."""
        return replace(group, consumer=consumer)

    async def publish(self, events: Sequence[StoredEvent], /) -> None:
        """Keep ``events``, unless too much waits already."""
        size = sum(len(event.data) for event in events)
        if self._size + size > self._limit:
            raise ComponentError(
                f"{self._size // 1024 // 1024} MiB of events wait in memory, the limit is "
                f"{self._limit // 1024 // 1024} MiB; see why they are not handled, or keep them "
                "on disk"
            )
        self._size += size
        for event in events:
            self._events[event.key] = event
        for event in events:
            self._accepted(event)

    def forget(self, key: int, /) -> None:
        """Drop an event."""
        event = self._events.pop(key, None)
        if event is not None:
            self._size -= len(event.data)

    def postpone(self, event: StoredEvent, /) -> None:
        """Do nothing: the event is the one that is kept."""

    def page(self, group: int, after: int, rows: int, size: int, /) -> list[StoredEvent]:  # noqa: ARG002 - everything is in memory anyway
        """Return all events of ``group`` above ``after``."""
        events = self._events.values()
        return [e for e in events if e.key >> SEQUENCE_BITS == group and e.key > after]

    def find(self, key: int, /) -> StoredEvent | None:
        """Return one event."""
        return self._events.get(key)

    async def flush(self) -> None:
        """Do nothing: everything is done at once."""

    async def close(self) -> None:
        """Forget everything."""
        self._events.clear()


def _ignore(event: StoredEvent) -> None:
    """Stand in until the log is open."""


def _event(row: tuple[Any, ...]) -> StoredEvent:
    key, data, metadata, content_type, attempt, due, expires, total = row
    require_sound(total, data, key, metadata, content_type, expires)
    pairs = None if metadata is None else _metadata.decode(metadata)
    return StoredEvent(key, data, pairs, content_type, attempt, due, expires)


def _write(connection: sqlite3.Connection, batch: _Pending) -> None:
    """Write a batch with as few statements as possible: each hands the interpreter over."""
    for events in _chunks(batch.events):
        values = ",".join(["(?,?,?,?,?,?,?,?)"] * len(events))
        parameters: list[object] = []
        for event in events:
            pairs = event.metadata
            text = None if pairs is None else msgspec.json.encode(pairs)
            parameters += (
                event.key,
                event.data,
                text,
                event.content_type,
                event.attempt,
                event.due,
                event.expires,
                row_sum(event.data, event.key, text, event.content_type, event.expires),
            )
        connection.execute(f"INSERT INTO events VALUES {values}", parameters)  # noqa: S608 - marks only
    for keys in _chunks(batch.forgotten):
        marks = ",".join("?" * len(keys))
        connection.execute(f"DELETE FROM events WHERE key IN ({marks})", keys)  # noqa: S608 - marks only
    if batch.forgotten:
        connection.executemany(_NOTE_NUMBER, _highest(batch.forgotten))
    if batch.postponed:
        connection.executemany(
            "UPDATE events SET attempt = ?, due = ? WHERE key = ?", batch.postponed
        )


def _highest(keys: Iterable[int]) -> Iterable[tuple[int, int]]:
    """Return the highest sequence number of each group; none may be given out again."""
    found: dict[int, int] = {}
    for key in keys:
        group = key >> SEQUENCE_BITS
        if key > found.get(group, 0):
            found[group] = key
    return [(group, key - (group << SEQUENCE_BITS)) for group, key in found.items()]


def _chunks(items: list[T]) -> Iterable[list[T]]:
    for start in range(0, len(items), CHUNK):
        yield items[start : start + CHUNK]
