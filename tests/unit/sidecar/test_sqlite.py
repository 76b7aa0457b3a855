"""The group-commit writer: what it groups, what it keeps apart, and what it refuses to open."""

import asyncio
import contextlib
import sqlite3
import stat
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from daprflow.sidecar.components.base import ComponentError
from daprflow.sidecar.sqlite import MEMORY, Prepare, SqliteWriter, versioned

TABLE = "CREATE TABLE IF NOT EXISTS t (k TEXT PRIMARY KEY)"
OURS = 77


def prepare(connection: sqlite3.Connection) -> None:
    """Make the one table."""
    connection.execute(TABLE)


def insert(key: str) -> Callable[[sqlite3.Connection], str]:
    """Return a job that inserts ``key``."""

    def job(connection: sqlite3.Connection) -> str:
        connection.execute("INSERT INTO t VALUES (?)", (key,))
        return key

    return job


def keys(writer: SqliteWriter) -> set[str]:
    """Read what is committed."""
    return {key for (key,) in writer.reader.execute("SELECT k FROM t")}


@pytest.mark.parametrize("replaced", [False, True])
async def test_a_removed_file_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, *, replaced: bool
) -> None:
    """Who removes a database that is in use is told once, with what to do."""
    file = tmp_path / "t.db"
    writer = SqliteWriter(file, prepare)
    await writer.open()
    await writer.run(insert("a"))
    assert keys(writer) == {"a"}
    file.unlink()
    if replaced:
        file.touch()
    for key in ("b", "c"):
        await writer.run(insert(key))
    await writer.close()
    told = [each for each in caplog.messages if "was removed" in each]
    assert len(told) == 1
    assert f"database '{file}'" in told[0]


@pytest.fixture(params=["file", MEMORY])
async def writer(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SqliteWriter]:
    """An open writer, on disk and in memory."""
    path = tmp_path / "folder" / "x.db" if request.param == "file" else MEMORY
    opened = SqliteWriter(path, prepare)
    await opened.open()
    yield opened
    await opened.close()


async def test_a_result_comes_after_its_commit(writer: SqliteWriter) -> None:
    """What `run` has returned for is visible to the reader."""
    assert await writer.run(insert("a")) == "a"
    assert keys(writer) == {"a"}


async def test_many_jobs_are_answered_each(writer: SqliteWriter) -> None:
    """Jobs handed over together each get their own result."""
    names = [str(n) for n in range(500)]
    assert await asyncio.gather(*(writer.run(insert(name)) for name in names)) == names
    assert keys(writer) == set(names)


async def test_a_failing_job_fails_alone(writer: SqliteWriter) -> None:
    """An error undoes the job's own changes and nobody else's."""

    def fail(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO t VALUES ('undone')")
        raise ValueError("no")

    outcomes = await asyncio.gather(
        writer.run(insert("a")), writer.run(fail), writer.run(insert("b")), return_exceptions=True
    )
    assert isinstance(outcomes[1], ValueError)
    assert keys(writer) == {"a", "b"}


async def test_of_calls_that_may_be_repeated_the_failing_one_fails_alone(tmp_path: Path) -> None:
    """Calls that share a savepoint run again, each in its own, when one of them fails."""
    runs: list[str] = []
    begun, hold = threading.Event(), threading.Event()

    def write(key: str) -> Callable[[sqlite3.Connection], str]:
        def call(connection: sqlite3.Connection) -> str:
            runs.append(key)
            return insert(key)(connection)

        return call

    def busy(_: sqlite3.Connection) -> None:
        begun.set()
        hold.wait()

    writer = SqliteWriter(tmp_path / "x.db", prepare)
    await writer.open()
    first = writer.submit(busy)
    await asyncio.to_thread(begun.wait)
    others = [writer.submit(write(key), repeatable=True) for key in ("a", "b", "a", "c")]
    hold.set()
    outcomes = await asyncio.gather(first, *others, return_exceptions=True)
    assert outcomes[1:3] == ["a", "b"]
    assert isinstance(outcomes[3], ComponentError)
    assert outcomes[4] == "c"
    assert keys(writer) == {"a", "b", "c"}
    assert runs == ["a", "b", "a", "a", "b", "a", "c"]
    await writer.close()


async def test_sqlite_refusals_are_component_errors(writer: SqliteWriter) -> None:
    """A constraint that is violated comes back as a component's error with the path."""
    await writer.run(insert("a"))
    with pytest.raises(ComponentError, match=r"refused the write.*UNIQUE"):
        await writer.run(insert("a"))


@pytest.mark.row("FS-06")
async def test_a_full_disk_is_an_error_and_passes(tmp_path: Path) -> None:
    """SQLITE_FULL fails what is in the batch, and writing works again once there is room."""

    def small(connection: sqlite3.Connection) -> None:
        prepare(connection)
        connection.execute("PRAGMA max_page_count = 8")

    writer = SqliteWriter(tmp_path / "x.db", small)
    await writer.open()
    big = [writer.run(insert(f"{n}" * 20_000)) for n in range(1, 4)]
    outcomes = await asyncio.gather(*big, return_exceptions=True)
    assert any(isinstance(o, ComponentError) and "disk is full" in str(o) for o in outcomes)
    await writer.run(lambda connection: connection.execute("DELETE FROM t").rowcount)
    assert await writer.run(insert("a")) == "a"
    await writer.close()


async def test_close_finishes_what_was_handed_over(tmp_path: Path) -> None:
    """Jobs that wait when `close` is called are still committed and answered."""
    writer = SqliteWriter(tmp_path / "x.db", prepare)
    await writer.open()
    waiting = [writer.submit(insert(str(n))) for n in range(50)]
    await writer.close()
    assert await asyncio.gather(*waiting) == [str(n) for n in range(50)]


async def test_a_closed_writer_says_so(tmp_path: Path) -> None:
    """Using a database that is not open is an error, never a hang."""
    writer = SqliteWriter(tmp_path / "x.db", prepare)
    with pytest.raises(ComponentError, match="not open"):
        await writer.submit(insert("a"))
    with pytest.raises(ComponentError, match="not open"):
        _ = writer.reader


@pytest.mark.row("S-08")
async def test_the_folder_is_private(tmp_path: Path) -> None:
    """A folder that has to be made is readable by its owner alone."""
    writer = SqliteWriter(tmp_path / "a" / "x.db", prepare)
    await writer.open()
    await writer.close()
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o700


@pytest.mark.row("FS-08")
@pytest.mark.parametrize(
    "content", [b"not a database, but long enough to look at it" * 50, b"SQLite format 3\0" * 99]
)
async def test_a_damaged_file_names_two_ways_out(tmp_path: Path, content: bytes) -> None:
    """A file that is no database is refused with its path, and is left alone."""
    path = tmp_path / "x.db"
    path.write_bytes(content)
    with pytest.raises(ComponentError, match=r"x\.db.*restore.*or move it away"):
        await SqliteWriter(path, prepare).open()
    assert path.read_bytes() == content


async def test_a_damaged_schema_that_is_no_text(tmp_path: Path) -> None:
    """A name of bytes that are no text, which SQLite tells, is refused like other damage."""
    file = tmp_path / "a.db"
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE orders (id TEXT)")
    content = file.read_bytes().replace(b"ordersorders", b"or\xccersor\xccers")
    file.write_bytes(content.replace(b"CREATE TABLE", b"CREATE FABLE"))
    with pytest.raises(ComponentError, match="move it away"):
        await SqliteWriter(file, prepare).open()


@pytest.mark.row("FS-08")
async def test_a_directory_is_refused(tmp_path: Path) -> None:
    """A folder in place of the file is one clear error."""
    with pytest.raises(ComponentError, match="cannot use database"):
        await SqliteWriter(tmp_path, prepare).open()


async def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    """A file where a folder should be is named as the cause."""
    (tmp_path / "a").write_text("")
    with pytest.raises(ComponentError, match="cannot make the folder"):
        await SqliteWriter(tmp_path / "a" / "x.db", prepare).open()


async def open_and_close(path: Path, prepared: Prepare) -> None:
    """Open a database once."""
    writer = SqliteWriter(path, prepared)
    await writer.open()
    await writer.close()


async def test_a_version_opens_again(tmp_path: Path) -> None:
    """A database of ours with our version is taken as it is."""
    path = tmp_path / "x.db"
    for _ in range(2):
        await open_and_close(path, versioned(OURS, 2, (TABLE,)))


@pytest.mark.row("FS-10")
async def test_an_older_schema_gets_what_it_lacks(tmp_path: Path) -> None:
    """A file of an earlier release keeps what it has and gets the new tables."""
    path = tmp_path / "x.db"
    further = "CREATE TABLE IF NOT EXISTS later (x)"
    await open_and_close(path, versioned(OURS, 1, (TABLE,)))
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("INSERT INTO t VALUES (7)")
        connection.commit()
    await open_and_close(path, versioned(OURS, 2, (TABLE, further)))
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT * FROM t").fetchall() == [("7",)]
        assert connection.execute("SELECT count(*) FROM later").fetchone() == (0,)
        assert connection.execute("PRAGMA user_version").fetchone() == (2,)


@pytest.mark.row("FS-08", "FS-10")
async def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    """A file of a later release says what to do."""
    path = tmp_path / "x.db"
    await open_and_close(path, versioned(OURS, 2, (TABLE,)))
    with pytest.raises(ComponentError, match=r"newer daprflow \(schema 2.*upgrade.*or move"):
        await open_and_close(path, versioned(OURS, 1, (TABLE,)))


@pytest.mark.row("FS-08")
async def test_a_foreign_database_is_refused(tmp_path: Path) -> None:
    """A database of another program is not touched, not even in how it keeps its log."""
    path = tmp_path / "x.db"
    with contextlib.closing(sqlite3.connect(path)) as theirs:
        theirs.execute("CREATE TABLE theirs (x)")
    content = path.read_bytes()
    with pytest.raises(ComponentError, match="belongs to another program"):
        await open_and_close(path, versioned(OURS, 1, (TABLE,)))
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        (sqlite3.SQLITE_IOERR | 19 << 8, "make room"),
        (sqlite3.SQLITE_FULL, "make room"),
        (sqlite3.SQLITE_CANTOPEN, "readable and writable"),
        (sqlite3.SQLITE_BUSY, "another program uses it"),
        (sqlite3.SQLITE_CORRUPT, "restore the file from a copy"),
    ],
)
async def test_the_remedy_fits_the_refusal(tmp_path: Path, code: int, remedy: str) -> None:
    """A full disk or a taken file is not said to be a broken one."""
    refusal = sqlite3.OperationalError("it cannot be")
    refusal.sqlite_errorcode = code

    def refuse(_: sqlite3.Connection) -> None:
        raise refusal

    with pytest.raises(ComponentError, match=rf"x\.db.*it cannot be; .*{remedy}"):
        await SqliteWriter(tmp_path / "x.db", refuse).open()
