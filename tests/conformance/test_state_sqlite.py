"""``state.sqlite``: what Dapr certifies beyond the conformance rows, and that both stores agree."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daprflow.sidecar.clock import VirtualClock
from daprflow.sidecar.components.base import (
    ComponentError,
    EtagConflict,
    StateStore,
    StateWrite,
    StoredValue,
)
from daprflow.sidecar.components.registry import COMPONENTS
from tests.helpers.components import context


@asynccontextmanager
async def opened(
    root: Path, kind: str = "state.sqlite", clock: VirtualClock | None = None, **metadata: str
) -> AsyncIterator[StateStore]:
    """Open a store, by default on ``state.db`` in ``root``."""
    metadata.setdefault("connectionString", "state.db")
    made_from = context(root, clock or VirtualClock(), kind, **metadata)
    store = cast("StateStore", COMPONENTS[kind](made_from))
    await store.open()
    try:
        yield store
    finally:
        await store.close()


async def test_values_survive_a_restart(tmp_path: Path) -> None:
    """What was stored is there, with its ETag and expiry, when the file is opened again."""
    clock = VirtualClock()
    async with opened(tmp_path, clock=clock) as store:
        await store.write(StateWrite("k", b"1", ttl=60))
        before = await store.get("k")
    async with opened(tmp_path, clock=clock) as store:
        assert await store.get("k") == before
        clock.move_to(clock.now() + 61)
        assert await store.get("k") is None


async def test_layout_is_the_real_ones(tmp_path: Path) -> None:
    """JSON is stored as text and other bytes in base64, so that a real runtime reads them."""
    async with opened(tmp_path) as store:
        await store.write(StateWrite("app||json", b'{"a":1}', ttl=60))
        await store.write(StateWrite("app||bytes", b"\xff\x00"))
    with closing(sqlite3.connect(tmp_path / "state.db")) as connection:
        query = "SELECT key, value, is_binary, expiration_time IS NULL FROM state ORDER BY key"
        rows = connection.execute(query).fetchall()
        expires = connection.execute(
            "SELECT expiration_time > CURRENT_TIMESTAMP FROM state WHERE key = 'app||json'"
        ).fetchone()
    assert rows == [("app||bytes", "/wA=", 1, 1), ("app||json", '{"a":1}', 0, 0)]
    assert expires == (1,)


async def test_a_table_of_the_real_one_is_used(tmp_path: Path) -> None:
    """A row that a real runtime wrote is read, guarded by its ETag, and expires."""
    async with opened(tmp_path):
        pass
    with closing(sqlite3.connect(tmp_path / "state.db")) as connection, connection:
        connection.executemany(
            "INSERT INTO state (key, value, is_binary, etag, expiration_time) VALUES"
            " (?, ?, ?, 'e1', datetime('now', ?))",
            [
                ("json", "1", 0, "+1 hour"),
                ("bytes", "/wA=", 1, "+1 hour"),
                ("old", "1", 0, "-1 day"),
            ],
        )
    async with opened(tmp_path) as store:
        values = await store.get_many(["json", "bytes", "old"])
        assert [isinstance(value, StoredValue) and value.data for value in values] == [
            b"1",
            b"\xff\x00",
            False,
        ]
        with pytest.raises(EtagConflict):
            await store.write(StateWrite("json", b"2", etag="other"))
        await store.write(StateWrite("json", b"2", etag="e1"))


@pytest.mark.row("FS-21")
async def test_ten_writers_to_one_key(tmp_path: Path) -> None:
    """Of ten writers with one ETag exactly one wins, each time."""
    async with opened(tmp_path) as store:
        await store.write(StateWrite("k", b"0"))
        for _ in range(10):
            found = await store.get("k")
            assert found
            writes = [StateWrite("k", b"%d" % n, etag=found.etag) for n in range(10)]
            results = await asyncio.gather(*map(store.write, writes), return_exceptions=True)
            assert results.count(None) == 1
            assert sum(isinstance(result, EtagConflict) for result in results) == 9


async def test_ten_writers_to_own_keys(tmp_path: Path) -> None:
    """Concurrent writes, single and in transactions, are all there afterwards."""
    async with opened(tmp_path) as store:
        await asyncio.gather(
            *(
                store.transact([StateWrite(f"{n}-{m}", b"1") for m in range(10)])
                if n % 2
                else store.write(StateWrite(f"{n}-0", b"1"))
                for n in range(100)
            )
        )
        keys = [f"{n}-{m}" for n in range(100) for m in range(10 if n % 2 else 1)]
        assert None not in await store.get_many(keys)


async def test_a_failed_write_spares_its_neighbours(tmp_path: Path) -> None:
    """Writes that are committed together fail one by one."""
    async with opened(tmp_path) as store:
        writes = [StateWrite(str(n), b"1", etag="bad" if n % 3 == 0 else None) for n in range(30)]
        results = await asyncio.gather(*map(store.write, writes), return_exceptions=True)
        failed = [n for n, result in enumerate(results) if isinstance(result, EtagConflict)]
        assert failed == list(range(0, 30, 3))
        values = await store.get_many([str(n) for n in range(30)])
        assert [n for n, value in enumerate(values) if value is None] == failed


async def test_locked_database(tmp_path: Path) -> None:
    """A database that another process holds is an error in time, and usable afterwards."""
    async with opened(tmp_path, busyTimeout="100ms") as store:
        with closing(sqlite3.connect(tmp_path / "state.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(ComponentError):
                await asyncio.wait_for(store.write(StateWrite("k", b"1")), 5)
            other.execute("ROLLBACK")
        await store.write(StateWrite("k", b"2"))
        found = await store.get("k")
        assert found
        assert found.data == b"2"


@pytest.mark.parametrize("interval", ["1s", "0", "-1s", ""])
async def test_cleanup_interval(tmp_path: Path, interval: str) -> None:
    """Expired rows leave the file when cleaning is on, and stay invisible when it is off."""
    clock = VirtualClock()
    async with opened(tmp_path, clock=clock, cleanupInterval=interval) as store:
        await store.write(StateWrite("k", b"1", ttl=1))
        clock.move_to(clock.now() + 5)
        assert await store.get("k") is None
        await store.write(StateWrite("other", b"1"))
    with closing(sqlite3.connect(tmp_path / "state.db")) as connection:
        (count,) = connection.execute("SELECT count(*) FROM state").fetchone()
    assert count == (1 if interval == "1s" else 2)


@pytest.mark.parametrize("table", ["state; DROP TABLE x", "a b", "1st", '"', "größe"])
async def test_table_names_are_checked(tmp_path: Path, table: str) -> None:
    """A table name that is no plain identifier is refused at the start."""
    with pytest.raises(ComponentError, match="tableName"):
        async with opened(tmp_path, tableName=table):
            pass


KEYS = st.sampled_from(["a", "b", "c"])
WRITES = st.tuples(
    KEYS,
    st.sampled_from([None, b"1", b"2"]),
    st.sampled_from(["none", "right", "wrong"]),
    st.booleans(),
    st.sampled_from([None, None, 2]),
)
STEPS = st.lists(
    st.one_of(
        WRITES.map(lambda write: ("write", [write])),
        st.lists(WRITES, min_size=1, max_size=3, unique_by=lambda write: write[0]).map(
            lambda writes: ("transact", writes)
        ),
        st.integers(1, 3).map(lambda seconds: ("advance", seconds)),
    ),
    max_size=12,
)


Written = tuple[str, bytes | None, str, bool, int | None]
Step = tuple[str, object]


async def outcome(
    store: StateStore, clock: VirtualClock, steps: list[tuple[str, object]]
) -> list[object]:
    """Do ``steps`` and return what each came to, without ETags."""
    seen: list[object] = []
    for kind, argument in steps:
        if kind == "advance":
            clock.move_to(clock.now() + cast("int", argument))
        else:
            writes = [await made(store, item) for item in cast("list[Written]", argument)]
            operation = store.write(writes[0]) if kind == "write" else store.transact(writes)
            try:
                await operation
            except EtagConflict:
                seen.append("conflict")
        values = await store.get_many(["a", "b", "c"])
        seen.append([isinstance(v, StoredValue) and (v.data, v.expires) for v in values])
    return seen


async def made(store: StateStore, item: Written) -> StateWrite:
    """Make a write; a right ETag is the stored one."""
    key, data, which, first, ttl = item
    found = await store.get(key)
    right = found.etag if found else None
    etag = {"none": None, "right": right, "wrong": "wrong"}[which]
    # The stores differ, as the real ones do, on a delete with first-write and no ETag.
    return StateWrite(key, data, etag, first_write=first and data is not None, ttl=ttl)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=STEPS)
def test_both_stores_agree(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, object]]
) -> None:
    """Whatever is done to them, the in-memory store and SQLite hold and refuse the same."""

    async def run(kind: str) -> list[object]:
        clock = VirtualClock(1_700_000_000)
        root = tmp_path_factory.mktemp("stores")
        async with opened(root, kind, clock, connectionString=":memory:") as store:
            return await outcome(store, clock, steps)

    assert asyncio.run(run("state.sqlite")) == asyncio.run(run("state.in-memory"))
