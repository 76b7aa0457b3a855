"""The file that the durable parts of an engine share."""

import asyncio
import threading
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from daprflow.protocol.jobs import JobRequest
from daprflow.protocol.locks import Unlocked
from daprflow.sidecar.clock import VirtualClock
from daprflow.sidecar.components.base import (
    ComponentError,
    EditableConfiguration,
    LockStore,
    Message,
    PubSub,
)
from daprflow.sidecar.components.registry import COMPONENTS
from daprflow.sidecar.engine import Engine
from daprflow.sidecar.engine_file import FILE, EngineDatabase, EngineFile
from tests.helpers.components import context

CONFIGURATION, LOCK, PUBSUB = "configuration.daprflow", "lock.daprflow", "pubsub.daprflow"


def writers() -> int:
    """Return how many threads write to SQLite files."""
    return sum(thread.name == "sqlite-writer" for thread in threading.enumerate())


async def test_all_parts_of_an_engine_write_through_one_thread(tmp_path: Path) -> None:
    """Jobs, events, items and locks share one writer, so that none polls for another's lock."""
    clock = VirtualClock()
    engine = Engine(clock, tmp_path, tmp_path)
    await engine.jobs.open()
    parts = []
    for kind in (CONFIGURATION, LOCK, PUBSUB):
        made = replace(context(tmp_path, clock, kind), data_dir=tmp_path, siblings=engine)
        parts.append(await engine.acquire(made, COMPONENTS[kind]))
    assert writers() == 1
    settings, locks, broker = parts
    await asyncio.gather(
        engine.jobs.schedule("app1", "report", JobRequest(due_time="1h")),
        cast("EditableConfiguration", settings).put("key", "value", ""),
        cast("LockStore", locks).try_lock("door", "ann", 60),
        cast("PubSub", broker).publish(Message("orders", b"1")),
    )
    await engine.release(settings)
    assert await cast("LockStore", locks).unlock("door", "ann") is Unlocked.SUCCESS
    await engine.close()
    assert writers() == 0


async def test_a_part_that_lets_go_twice_takes_the_file_from_nobody(tmp_path: Path) -> None:
    """Each part's hold counts once, whatever the part says."""
    database = EngineDatabase(tmp_path / FILE)
    one, two = EngineFile(database), EngineFile(database)
    await asyncio.gather(one.open(), two.open())
    await one.close()
    await one.close()
    assert await two.run(lambda connection: connection.execute("SELECT 1").fetchone()) == (1,)
    await two.close()
    with pytest.raises(ComponentError, match="is not open"):
        await two.run(lambda _: None)


async def test_a_file_that_cannot_be_opened_can_be_later(tmp_path: Path) -> None:
    """A failed opening holds nothing; the next one tries again."""
    (tmp_path / FILE).write_bytes(b"not a database, whatever it is" * 100)
    file = EngineFile(EngineDatabase(tmp_path / FILE))
    with pytest.raises(ComponentError, match="restore the file"):
        await file.open()
    await file.close()
    (tmp_path / FILE).unlink()
    await file.open()
    await file.close()
    assert writers() == 0
