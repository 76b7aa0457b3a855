"""Rows of the engine's database: a damaged one is told where it is read, by all its parts."""

import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from daprflow.protocol.jobs import JobRequest
from daprflow.sidecar.clock import VirtualClock
from daprflow.sidecar.components.base import (
    ComponentError,
    EditableConfiguration,
    Message,
    PubSub,
)
from daprflow.sidecar.components.event_log import SqliteLog
from daprflow.sidecar.components.registry import COMPONENTS
from daprflow.sidecar.engine import Engine
from daprflow.sidecar.engine_file import APPLICATION_ID, FILE, TABLES, EngineDatabase, EngineFile
from daprflow.sidecar.job_store import SqliteJobStore
from daprflow.sidecar.workflows.store import Arrival, Changes, Row, WorkflowStore
from tests.helpers.components import context


def change(folder: Path, statement: str) -> None:
    """Do to a closed file what nobody else would."""
    with closing(sqlite3.connect(folder / FILE, isolation_level=None)) as connection:
        assert connection.execute(statement).rowcount == 1


async def fill(folder: Path) -> None:
    """Keep one of everything that has a sum."""
    clock = VirtualClock()
    engine = Engine(clock, folder, folder)
    await engine.jobs.open()
    await engine.jobs.schedule("app", "report", JobRequest(due_time="1h"))
    for kind in ("configuration.daprflow", "pubsub.daprflow"):
        made = replace(context(folder, clock, kind), data_dir=folder, siblings=engine)
        part = await engine.acquire(made, COMPONENTS[kind])
        if kind.startswith("pubsub"):
            await cast("PubSub", part).publish(Message("orders", b"payload", {"a": "b"}, "text/x"))
        else:
            await cast("EditableConfiguration", part).put("key", "value", "1")
    await engine.close()
    store = WorkflowStore(EngineFile(EngineDatabase(folder / FILE)))
    await store.open()
    changes = Changes()
    row = Row(1, "app", "one", 0, None, b"received")
    changes.insert(row, 1.0)
    changes.append(row, 0, b"history")
    changes.arrive(row, Arrival(5, b"inbox"))
    await store.commit(changes)
    await store.close()


async def read_all(folder: Path) -> list[str]:
    """Read everything; return what was said of it."""
    said: list[str] = []
    file = EngineFile(EngineDatabase(folder / FILE))
    await file.open()
    store = WorkflowStore(file)
    log = SqliteLog(file, "pubsub")

    async def jobs() -> None:
        kept = SqliteJobStore(EngineFile(EngineDatabase(folder / FILE)))
        await kept.open()
        await kept.close()

    async def items() -> None:
        made = context(folder, VirtualClock(), "configuration.daprflow")
        part = COMPONENTS["configuration.daprflow"](replace(made, data_dir=folder))
        await part.open()
        try:
            await cast("EditableConfiguration", part).get(("key",), {})
        finally:
            await part.close()

    reads: list[Callable[[], object]] = [
        lambda: log.page(1, 0, 10, 1000),
        lambda: log.find((1 << 40) + 1),
        lambda: store.find("app", "one"),
        lambda: store.history(1),
        lambda: store.inbox(1),
        jobs,
        items,
    ]
    for read in reads:
        try:
            result = read()
            if isinstance(result, Awaitable):
                await result
        except ComponentError as error:
            said.append(str(error))
    await file.close()
    return said


@pytest.mark.parametrize(
    ("damage", "times"),
    [
        ("UPDATE events SET data = x'00'", 2),
        ("UPDATE events SET metadata = x'ff'", 2),
        ("UPDATE events SET content_type = 'text/y'", 2),
        ("UPDATE events SET expires = 1.5", 2),
        ("UPDATE jobs SET job = x'7b'", 1),
        ("UPDATE jobs SET begin = begin + 1", 1),
        ("UPDATE configuration_items SET value = 'valve'", 1),
        ("UPDATE workflows SET received = x'00'", 1),
        ("UPDATE workflow_history SET events = x'00'", 1),
        ("UPDATE workflow_inbox SET event = x'00'", 1),
    ],
)
async def test_a_damaged_row_is_told_where_it_is_read(
    tmp_path: Path, damage: str, times: int
) -> None:
    """By file and remedy, and by nothing of what is stored."""
    await fill(tmp_path)
    assert await read_all(tmp_path) == []
    change(tmp_path, damage)
    said = await read_all(tmp_path)
    assert len(said) == times
    for text in said:
        assert f"'{tmp_path / FILE}': a row is not as it was written" in text
        assert text.endswith("restore the file from a copy, or move it away to start anew")


async def test_rows_from_before_there_were_sums_are_read(tmp_path: Path) -> None:
    """The columns are added to an older file, and are empty in its rows."""
    with closing(sqlite3.connect(tmp_path / FILE, isolation_level=None)) as connection:
        for statement in TABLES:
            if not statement.startswith("ALTER"):
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute("PRAGMA user_version = 6")
        connection.execute(
            "INSERT INTO events (key, data, content_type, attempt, due) VALUES (1, x'00', '', 0, 0)"
        )
    file = EngineFile(EngineDatabase(tmp_path / FILE))
    await file.open()
    found = SqliteLog(file, "pubsub").find(1)
    await file.close()
    assert found is not None
    assert found.data == b"\0"
