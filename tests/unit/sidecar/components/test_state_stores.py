"""The state stores below their conformance rows: error texts, odd keys, odd settings."""

import asyncio
import sqlite3
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from daprflow.sidecar.clock import VirtualClock
from daprflow.sidecar.components.base import ComponentError, EtagConflict, StateStore, StateWrite
from daprflow.sidecar.components.state_in_memory import InMemoryState
from daprflow.sidecar.components.state_sqlite import SqliteState, database_path
from daprflow.sidecar.components.state_tables import time_text
from daprflow.sidecar.components.ttl import parse_int, require_ttl
from tests.helpers.components import context

NASTY = [
    "'; DROP TABLE state; --",
    '" OR 1=1 --',
    "%",
    "_",
    "\\",
    "a\0b",
    "\u00e4\u20ac\U0001f600",
    "x" * 5000,
    "?",
    ":name",
    "",
]


@asynccontextmanager
async def sqlite(
    root: Path, clock: VirtualClock | None = None, **metadata: str
) -> AsyncIterator[SqliteState]:
    """Open a SQLite store."""
    metadata.setdefault("connectionString", "state.db")
    store = SqliteState(context(root, clock or VirtualClock(), "state.sqlite", **metadata))
    await store.open()
    try:
        yield store
    finally:
        await store.close()


@pytest.mark.row("S-13")
@pytest.mark.parametrize("key", NASTY)
async def test_keys_and_values_are_never_sql(tmp_path: Path, key: str) -> None:
    """S-13: whatever a key, a value or an ETag holds is data."""
    async with sqlite(tmp_path) as store:
        await store.write(StateWrite("other", b"1"))
        await store.write(StateWrite(key, key.encode()))
        found = await store.get(key)
        assert found is not None
        assert found.data == key.encode()
        with pytest.raises(EtagConflict):
            await store.write(StateWrite(key, b"2", etag=key or "x"))
        await store.write(StateWrite(key, None))
        assert await store.get(key) is None
        assert await store.get("other") is not None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("abc", 'strconv.Atoi: parsing "abc": invalid syntax'),
        ('a"b', 'strconv.Atoi: parsing "a\\"b": invalid syntax'),
        ("1.5", 'strconv.Atoi: parsing "1.5": invalid syntax'),
        ("\u0661", 'strconv.Atoi: parsing "\u0661": invalid syntax'),
        ("9" * 20, f'strconv.Atoi: parsing "{"9" * 20}": value out of range'),
    ],
)
def test_bad_times_to_live(tmp_path: Path, text: str, message: str) -> None:
    """A time to live that cannot be read is refused in the words of each store."""
    memory = InMemoryState(context(tmp_path, VirtualClock(), "state.in-memory"))
    with pytest.raises(ComponentError) as error:
        memory.parse_ttl(text)
    assert str(error.value) == message
    table = SqliteState(context(tmp_path, VirtualClock(), "state.sqlite"))
    with pytest.raises(ComponentError, match=r"^error parsing TTL: incorrect value"):
        table.parse_ttl(text)


@pytest.mark.parametrize(("text", "years"), [("99999999999", 246), ("9223372037", None)])
async def test_a_very_long_time_to_live(tmp_path: Path, text: str, years: int | None) -> None:
    """Memory counts in Go's nanoseconds, which wrap after 292 years; a table refuses."""
    memory = InMemoryState(context(tmp_path, VirtualClock(), "state.in-memory"))
    await memory.write(StateWrite("k", b"1", ttl=memory.parse_ttl(text)))
    found = await memory.get("k")
    if years is None:
        assert found is None
    else:
        assert found is not None
        assert found.expires is not None
        assert (found.expires - VirtualClock().now()) // (365.25 * 86400) == years
    table = SqliteState(context(tmp_path, VirtualClock(), "state.sqlite"))
    with pytest.raises(ComponentError, match="must be -1 or greater"):
        table.parse_ttl(text)


def test_a_negative_time_to_live(tmp_path: Path) -> None:
    """Below minus one memory takes for never, and a table refuses."""
    assert (
        InMemoryState(context(tmp_path, VirtualClock(), "state.in-memory")).parse_ttl("-2") is None
    )
    table = SqliteState(context(tmp_path, VirtualClock(), "state.sqlite"))
    with pytest.raises(ComponentError, match="must be -1 or greater"):
        table.parse_ttl("-2")


@pytest.mark.parametrize(("text", "ttl"), [("5", 5), ("+5", 5), ("-1", None), ("0", None)])
def test_good_times_to_live(text: str, ttl: int | None) -> None:
    """Minus one and zero mean never."""
    assert require_ttl(parse_int(text, "Atoi")) == ttl


async def test_texts_of_the_in_memory_store(tmp_path: Path) -> None:
    """A conflict names key and ETags; an expired value counts as missing."""
    clock = VirtualClock()
    store = InMemoryState(context(tmp_path, clock, "state.in-memory"))
    await store.open()
    with pytest.raises(EtagConflict, match="state not exist or expired for key=k"):
        await store.write(StateWrite("k", b"1", etag="x"))
    await store.write(StateWrite("k", b"1", ttl=1))
    found = await store.get("k")
    assert found is not None
    with pytest.raises(EtagConflict, match=f"key=k: current={found.etag}, expect=x"):
        await store.write(StateWrite("k", b"1", etag="x"))
    clock.move_to(clock.now() + 1)
    await store.write(StateWrite("k", b"2", first_write=True))
    await store.close()
    assert await store.get("k") is None


async def test_expired_values_do_not_pile_up(tmp_path: Path) -> None:
    """Values that expired and are never read again are forgotten; the others stay."""
    clock = VirtualClock()
    store = InMemoryState(context(tmp_path, clock, "state.in-memory"))
    await store.write(StateWrite("kept", b"1"))
    tracemalloc.start()
    try:
        for number in range(8192):
            await store.write(StateWrite(f"k{number}", b"x" * (2000 + number % 7), ttl=1))
            clock.move_to(clock.now() + 0.01)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 8192 * 1000
    assert await store.get("kept") is not None


async def test_expiry_to_the_millisecond(tmp_path: Path) -> None:
    """An expired row is gone for reads, for ETags and for first writes, not a moment early."""
    clock = VirtualClock(1_700_000_000.25)
    async with sqlite(tmp_path, clock) as store:
        await store.write(StateWrite("k", b"1", ttl=1))
        found = await store.get("k")
        assert found is not None
        assert found.expires == pytest.approx(1_700_000_001.25)
        clock.move_to(1_700_000_001.249)
        assert await store.get("k") is not None
        clock.move_to(1_700_000_001.25)
        assert await store.get("k") is None
        with pytest.raises(EtagConflict):
            await store.write(StateWrite("k", b"2", etag=found.etag))
        with pytest.raises(EtagConflict):
            await store.write(StateWrite("k", None, etag=found.etag))
        await store.write(StateWrite("k", b"3", first_write=True))
        assert (await store.get_many(["k", "x"]))[1] is None


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (0.0, "1970-01-01 00:00:00"),
        (1.5, "1970-01-01 00:00:01.500"),
        (1.9996, "1970-01-01 00:00:02"),
        (1_700_000_000.001, "2023-11-14 22:13:20.001"),
    ],
)
def test_times_compare_as_text(moment: float, text: str) -> None:
    """Times are written so that SQLite's own compare with them."""
    assert time_text(moment) == text


async def test_many_keys_at_once(tmp_path: Path) -> None:
    """A bulk get has no limit on its keys."""
    async with sqlite(tmp_path) as store:
        await store.transact([StateWrite(f"k{n}", b"%d" % n) for n in range(1200)])
        found = await store.get_many([f"k{n}" for n in range(1300)])
        assert [value.data for value in found[:1200] if value] == [b"%d" % n for n in range(1200)]
        assert found[1200:] == [None] * 100


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("data.db", "/base/data.db"),
        ("/abs/data.db", "/abs/data.db"),
        ("file:data.db", "/base/data.db"),
        ("file:data.db?_txlock=immediate&mode=rwc", "/base/data.db"),
        (":memory:", ":memory:"),
        ("file::memory:?cache=shared", ":memory:"),
        ("file:x?mode=memory", ":memory:"),
    ],
)
def test_connection_strings(text: str, path: str) -> None:
    """Each form of a connection string names a file or memory."""
    assert database_path(text, Path("/base")) == path


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"connectionString": " "}, "missing connection string"),
        ({"connectionString": "file:?x=1"}, "missing connection string"),
        ({"busyTimeout": "soon"}, "busyTimeout"),
        ({"timeout": "x"}, "timeout"),
        ({"cleanupInterval": "x"}, "cleanupInterval"),
    ],
)
async def test_bad_settings(tmp_path: Path, metadata: dict[str, str], message: str) -> None:
    """A setting that cannot be read stops the start and is named."""
    with pytest.raises(ComponentError, match=message):
        async with sqlite(tmp_path, None, **metadata):
            pass


async def test_a_foreign_table(tmp_path: Path) -> None:
    """A table of that name with other columns is refused; another name works beside it."""
    connection = sqlite3.connect(tmp_path / "state.db")
    connection.execute("CREATE TABLE state (id INTEGER)")
    connection.close()
    with pytest.raises(ComponentError, match="table 'state' is not a state table"):
        async with sqlite(tmp_path):
            pass
    async with sqlite(tmp_path, tableName="mine", metadataTableName="marks") as store:
        await store.write(StateWrite("k", b"1"))
        assert await store.get("k") is not None


async def test_durations_and_switches(tmp_path: Path) -> None:
    """Durations may be Go's or bare seconds; the write-ahead log can be turned off."""
    metadata = {"busyTimeout": "1", "timeout": "5s", "disableWAL": "true", "url": "state.db"}
    async with sqlite(tmp_path, None, **metadata) as store:
        await store.write(StateWrite("k", b"1"))
    connection = sqlite3.connect(tmp_path / "state.db")
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    connection.close()


async def test_a_closed_store(tmp_path: Path) -> None:
    """Calls on a closed store are refused, and closing twice does nothing."""
    async with sqlite(tmp_path) as store:
        pass
    await store.close()
    with pytest.raises(ComponentError, match="closed"):
        await store.get("k")
    with pytest.raises(ComponentError, match="closed"):
        await store.write(StateWrite("k", b"1"))


async def test_a_file_that_breaks_while_reading(tmp_path: Path) -> None:
    """A read that SQLite refuses is an error in one line."""
    async with sqlite(tmp_path) as store:
        connection = sqlite3.connect(tmp_path / "state.db")
        connection.execute("DROP TABLE state")
        connection.close()
        with pytest.raises(ComponentError, match=r"cannot use database .*; restore the file"):
            await store.get("k")


@pytest.mark.parametrize(
    ("column", "value"),
    [("expiration_time", b"\xff"), ("expiration_time", "soon"), ("is_binary", 1)],
)
async def test_a_damaged_row(tmp_path: Path, column: str, value: object) -> None:
    """A row that no store wrote is an error that names the file, and shows nothing of the row."""
    async with sqlite(tmp_path) as store:
        await store.write(StateWrite("k", b"secret"))
        connection = sqlite3.connect(tmp_path / "state.db")
        connection.execute("CREATE TABLE other AS SELECT * FROM state")
        connection.execute("DROP TABLE state")
        connection.execute("ALTER TABLE other RENAME TO state")
        connection.execute(f"UPDATE state SET {column} = ?", (value,))  # noqa: S608 - a column
        connection.commit()
        connection.close()
        with pytest.raises(ComponentError, match=r"cannot use database .*; restore") as caught:
            await store.get("k")
        assert "secret" not in str(caught.value)


async def test_a_value_that_is_no_text(tmp_path: Path) -> None:
    """What SQLite cannot decode is not shown in the error."""
    async with sqlite(tmp_path) as store:
        await store.write(StateWrite("k", b"secret"))
        connection = sqlite3.connect(tmp_path / "state.db")
        connection.execute("UPDATE state SET value = CAST(x'73656372657480ff' AS TEXT)")
        connection.commit()
        connection.close()
        with pytest.raises(ComponentError, match="restore the file") as caught:
            await store.get("k")
        assert "secret" not in str(caught.value)


async def test_cleaning_that_fails_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A clean-up that SQLite refuses is a warning, and the next one is tried."""
    clock = VirtualClock()
    async with sqlite(tmp_path, clock, connectionString=":memory:", cleanupInterval="1s") as store:
        await store.write(StateWrite("k", b"1", ttl=1))
        clock.move_to(clock.now() + 1)
        await asyncio.sleep(0)
        assert await store.get("k") is None
        assert not caplog.records
        assert clock.due() is not None


def test_both_claim_what_they_have() -> None:
    """The features are those of the real stores, in their order."""
    stores: tuple[type[StateStore], ...] = (InMemoryState, SqliteState)
    assert [store.capabilities for store in stores] == [  # type: ignore[comparison-overlap]
        ("ETAG", "TRANSACTIONAL", "TTL", "DELETE_WITH_PREFIX", "KEYS_LIKE", "ACTOR"),
        ("ETAG", "TRANSACTIONAL", "TTL", "KEYS_LIKE", "ACTOR"),
    ]
