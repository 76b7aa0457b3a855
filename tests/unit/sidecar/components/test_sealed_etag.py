"""ETags that hold a checksum: what they notice, and what they trust."""

import sqlite3
import uuid
from pathlib import Path

import pytest

from daprflow.sidecar.clock import VirtualClock
from daprflow.sidecar.components.base import ComponentError, StateWrite
from daprflow.sidecar.components.sealed_etag import is_sound, sealed_etag
from daprflow.sidecar.components.state_querying import QueryingSqliteState
from daprflow.sidecar.components.state_sqlite import SqliteState
from daprflow.sidecar.identifiers import new_id
from tests.helpers.components import context

KEY, VALUE, EXPIRES = "shop||k\u00e4se", b"value", "2026-01-01 00:00:00"


def test_an_etag_is_a_uuid_and_no_two_are_the_same() -> None:
    """Whoever keeps ETags as UUIDs can keep ours; the same row twice gets two."""
    made = [sealed_etag(KEY, VALUE, 0, None) for _ in range(100)]
    assert len(set(made)) == len(made)
    assert {uuid.UUID(each).version for each in made} == {8}
    assert {str(uuid.UUID(each)) for each in made} == set(made)


def test_each_bit_of_a_row_counts() -> None:
    """One turned bit anywhere in key, value, mark, expiry or the ETag itself is noticed."""
    etag = sealed_etag(KEY, VALUE, 0, EXPIRES)
    assert is_sound(etag, KEY, VALUE, 0, EXPIRES)

    def turned(text: str) -> list[str]:
        return [
            text[:place] + chr(ord(text[place]) ^ 1 << bit) + text[place + 1 :]
            for place in range(len(text))
            for bit in range(7)
        ]

    assert not [each for each in turned(etag) if is_sound(each, KEY, VALUE, 0, EXPIRES)]
    assert not [each for each in turned(KEY) if is_sound(etag, each, VALUE, 0, EXPIRES)]
    assert not [each for each in turned(EXPIRES) if is_sound(etag, KEY, VALUE, 0, each)]
    values = [each.encode() for each in turned(VALUE.decode())]
    assert not [each for each in values if is_sound(etag, KEY, each, 0, EXPIRES)]
    assert not is_sound(etag, KEY, VALUE, 1, EXPIRES)
    assert not is_sound(etag, KEY, VALUE, 0, None)


@pytest.mark.parametrize(
    "etag",
    [
        "7406f1b1-5439-438c-8605-ead965913c0e",
        "f2a42ea6-e605-11f1-ad93-02fc00000001",
        "1",
        "",
        "by hand",
    ],
)
def test_rows_of_others_are_trusted(etag: str) -> None:
    """Rows that a real store, an older daprflow or somebody's script wrote have no sums."""
    assert is_sound(etag, KEY, VALUE, 0, None)


def change(folder: Path, statement: str, *values: object) -> None:
    """Do to the file of a closed store what the store would not."""
    with sqlite3.connect(folder / "state.db") as connection:
        connection.execute(statement, values)
    connection.close()


async def opened(folder: Path, kind: type[SqliteState] = SqliteState) -> SqliteState:
    """Open the store of a folder."""
    metadata = {"connectionString": "state.db"}
    store = kind(context(folder, VirtualClock(), "state.sqlite", **metadata))
    await store.open()
    return store


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE state SET value = 'valve' WHERE key = 'a'",
        "UPDATE state SET is_binary = 1 WHERE key = 'a'",
        "UPDATE state SET expiration_time = '2006-01-01 00:00:00' WHERE key = 'a'",
        "UPDATE state SET expiration_time = 7 WHERE key = 'a'",
        "UPDATE state SET key = 'a', value = value || '1' WHERE key = 'a'",
    ],
)
async def test_a_changed_row_is_never_believed(tmp_path: Path, damage: str) -> None:
    """Who reads it is told of file and remedy, not of what is stored; writing it anew helps."""
    store = await opened(tmp_path)
    await store.transact([StateWrite("a", VALUE), StateWrite("b", VALUE)])
    await store.close()
    change(tmp_path, damage)
    store = await opened(tmp_path, QueryingSqliteState)
    try:
        with pytest.raises(ComponentError, match="by its checksum; restore") as error:
            await store.get("a")
        assert str(tmp_path / "state.db") in str(error.value)
        assert "val" not in str(error.value)
        with store.reading() as (connection, _), pytest.raises(sqlite3.DatabaseError):
            list(store.items(connection))
        found = await store.get("b")
        assert found is not None
        await store.write(StateWrite("a", b"new"))
        found = await store.get("a")
        assert found is not None
        assert found.data == b"new"
    finally:
        await store.close()


async def test_what_a_real_store_changes_is_its_own(tmp_path: Path) -> None:
    """A row with another's ETag is read as it stands, also where one of ours was before."""
    store = await opened(tmp_path)
    await store.write(StateWrite("a", VALUE))
    await store.close()
    etag = new_id()
    change(tmp_path, "UPDATE state SET value = 'theirs', etag = ? WHERE key = 'a'", etag)
    store = await opened(tmp_path)
    found = await store.get("a")
    await store.close()
    assert found is not None
    assert (found.data, found.etag) == (b"theirs", etag)
