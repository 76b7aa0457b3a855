"""The look at a database file before it is used."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from daprflow.sidecar.components.base import ComponentError
from daprflow.sidecar.sqlite import SqliteWriter
from daprflow.sidecar.sqlite_check import refuse_damaged


def damaged_index(folder: Path) -> Path:
    """Return a file in which a key is another one in the index."""
    path = folder / "odd name %20?#.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE t (k TEXT PRIMARY KEY)")
        connection.executemany("INSERT INTO t VALUES (?)", [(f"key{n}",) for n in range(50)])
    content = bytearray(path.read_bytes())
    content[content.rindex(b"key17")] ^= 1
    path.write_bytes(content)
    return path


async def test_a_key_that_its_index_lost_is_told(tmp_path: Path) -> None:
    """Who looked for it would be told that there is none; the file is refused, as it is."""
    path = damaged_index(tmp_path)
    content = path.read_bytes()
    with pytest.raises(ComponentError, match=r"it is damaged: .*; restore the file") as error:
        await SqliteWriter(path).open()
    assert str(path) in str(error.value)
    assert "key17" not in str(error.value)
    assert path.read_bytes() == content


def test_missing_and_empty_files_are_whole(tmp_path: Path) -> None:
    """They are new databases, and nothing is made of them."""
    empty = tmp_path / "empty.db"
    empty.touch()
    for path in (empty, tmp_path / "missing.db"):
        refuse_damaged(path, 0.0)
    assert [each.name for each in tmp_path.iterdir()] == ["empty.db"]


def test_a_large_file_is_said_not_to_be_checked(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A start does not wait for a look at gigabytes."""
    caplog.set_level("INFO")
    refuse_damaged(damaged_index(tmp_path), 0.0, limit=100)
    assert "not checked for damage" in caplog.text
