"""State stores: every row of Dapr's component conformance that a store without query has."""

import pytest

from daprflow.protocol.http import HttpRequest
from tests.conformance.stores import (
    Item,
    Mismatch,
    Read,
    Refused,
    SidecarStore,
    Store,
)

VALUES = {
    "int": b"42",
    "bool": b"true",
    "bytes": b'"\\u0000\\u0001"',
    "JSON-looking string": b'"{\\"a\\": 1}"',
    "string": b'"hello"',
    "empty string": b'""',
    "struct": b'{"a":"x"}',
    "nested struct": b'{"a":{"b":["c"]}}',
    "struct with int": b'{"n":7}',
}

BINARY = bytes(range(256)) + b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"


async def stored(store: Store, key: str) -> Read:
    """Return what is stored under ``key``, which must be there."""
    found = await store.get(key)
    assert found is not None
    return found


@pytest.mark.parametrize("kind", VALUES)
async def test_c_st_02_value_read_is_value_written(store: Store, kind: str) -> None:
    """C-ST-01, 02: a store opens, and a value of each type is read as it was written."""
    await store.write(Item("k", VALUES[kind]))
    assert (await stored(store, "k")).data == VALUES[kind]


async def test_c_st_03_bytes_come_back_unchanged(component_store: Store) -> None:
    """C-ST-03: arbitrary bytes come back byte for byte."""
    await component_store.write(Item("k", BINARY))
    await component_store.transact([Item("t", BINARY)])
    assert (await stored(component_store, "k")).data == BINARY
    assert (await stored(component_store, "t")).data == BINARY


async def test_c_st_05_query_is_refused(sidecar_store: SidecarStore) -> None:
    """C-ST-05: a store without query does not advertise it, and asking gives the known error."""
    assert "QUERY_API" not in await sidecar_store.capabilities()
    target = f"/v1.0-alpha1/state/{sidecar_store.name}/query"
    answer = await sidecar_store.exchange.send(HttpRequest("POST", target, (), b"{}"))
    assert answer.status == 500
    assert sidecar_store.traits.query_error in answer.body


async def test_c_st_06_delete(store: Store) -> None:
    """C-ST-06: deleting an existing and a never inserted key succeeds; both are then absent."""
    await store.write(Item("k"))
    await store.write(Item("k", None))
    await store.write(Item("never", None))
    assert await store.get("k") is None
    assert await store.get("never") is None


async def test_c_st_07_08_09_bulk(store: Store) -> None:
    """C-ST-07, 08, 09: bulk set stores all, bulk get answers each key, bulk delete removes all."""
    keys = ["a", "b", "c"]
    assert await store.write_many([Item(key, b'"v"') for key in keys]) == []
    found = await store.get_many([*keys, "missing"])
    assert set(found) == {*keys, "missing"}
    assert found["missing"] is None
    assert all(value and value.data == b'"v"' for key, value in found.items() if key != "missing")
    assert await store.write_many([Item(key, None) for key in keys]) == []
    assert set((await store.get_many(keys)).values()) == {None}


async def test_c_st_10_transaction_groups(store: Store) -> None:
    """C-ST-10: sets of one transaction are visible together, the next one's deletes undo them."""
    await store.transact([Item("a", b"1"), Item("b", b"2")])
    assert ((await stored(store, "a")).data, (await stored(store, "b")).data) == (b"1", b"2")
    await store.transact([Item("a", None), Item("b", None), Item("c", b"3")])
    assert await store.get("a") is None
    assert await store.get("b") is None
    assert (await stored(store, "c")).data == b"3"


async def test_c_st_11_transaction_deletes_unknown_key(store: Store) -> None:
    """C-ST-11: deleting a key that never was succeeds inside a transaction."""
    await store.transact([Item("never", None)])
    assert await store.get("never") is None


async def test_c_st_12_transaction_order(store: Store) -> None:
    """C-ST-12: the operations of a transaction apply in their order."""
    await store.write(Item("old", b"0"))
    await store.transact(
        [Item("old", None), Item("new", b"1"), Item("new", None), Item("last", b"2")]
    )
    found = await store.get_many(["old", "new", "last"])
    assert found["old"] is None
    assert found["new"] is None
    assert found["last"] is not None


async def test_transaction_is_all_or_nothing(store: Store) -> None:
    """A transaction that fails at its last operation leaves no trace of the first, on most."""
    await store.write(Item("k", b"1"))
    etag = (await stored(store, "k")).etag
    await store.write(Item("k", b"2"))
    with pytest.raises((Mismatch, Refused)):
        await store.transact([Item("other", b"2"), Item("k", b"3", etag=etag)])
    assert (await store.get("other") is None) == store.traits.rolls_back
    assert (await stored(store, "k")).data == b"2"
    with pytest.raises(Mismatch):
        await store.transact([Item("third", b"2"), Item("k", b"3", etag="bad")])
    assert await store.get("third") is None


async def test_c_st_13_transaction_content_type(sidecar_store: SidecarStore) -> None:
    """C-ST-13: JSON set in a transaction with and without content type reads back the same."""
    operations = [
        {"operation": "upsert", "request": {"key": "plain", "value": {"a": 1}}},
        {
            "operation": "upsert",
            "request": {
                "key": "typed",
                "value": {"a": 1},
                "metadata": {"contentType": "application/json"},
            },
        },
    ]
    answer = await sidecar_store.call("POST", "/transaction", {"operations": operations})
    assert answer.status == 204
    assert (await stored(sidecar_store, "plain")).data == b'{"a":1}'
    assert (await stored(sidecar_store, "typed")).data == b'{"a":1}'


async def test_c_st_15_etag_is_present(store: Store) -> None:
    """C-ST-15: a read value has an ETag, alone and in bulk, and it is the same."""
    await store.write_many([Item("a"), Item("b")])
    found = await store.get_many(["a", "b"])
    for key, value in found.items():
        assert value is not None
        assert value.etag
        assert value.etag == (await stored(store, key)).etag


async def test_c_st_16_wrong_etag(store: Store) -> None:
    """C-ST-16: a set with a wrong ETag is a mismatch; value and ETag stay."""
    await store.write(Item("k", b"1"))
    before = await stored(store, "k")
    with pytest.raises(Mismatch):
        await store.write(Item("k", b"2", etag="00000000-0000-4000-8000-000000000000"))
    assert await stored(store, "k") == before


async def test_wrong_etag_on_missing_key(store: Store) -> None:
    """A set with an ETag on a key that is not there is a mismatch and stores nothing, on most."""
    await store.write(Item("k", b"1"))
    etag = (await stored(store, "k")).etag
    await store.write(Item("k", None))
    if not store.traits.keeps_missing_missing:
        await store.write(Item("k", b"2", etag=etag))
        assert (await stored(store, "k")).data == b"2"
        return
    with pytest.raises(Mismatch):
        await store.write(Item("k", b"2", etag=etag))
    assert await store.get("k") is None


async def test_c_st_17_right_etag(store: Store) -> None:
    """C-ST-17: a set with the right ETag is accepted and changes it."""
    await store.write(Item("k", b"1"))
    before = await stored(store, "k")
    await store.write(Item("k", b"2", etag=before.etag))
    after = await stored(store, "k")
    assert after.data == b"2"
    assert after.etag not in {"", before.etag}


async def test_c_st_18_bulk_set_one_wrong(store: Store) -> None:
    """C-ST-18: in a bulk set with one wrong ETag the others are applied and one error is kept."""
    await store.write_many([Item(key, b"1") for key in "abc"])
    etags = {key: value.etag for key, value in (await store.get_many("abc")).items() if value}
    items = [Item("a", b"2", etag=etags["a"]), Item("b", b"2", etag="bad"), Item("c", b"2")]
    errors = await store.write_many(items)
    assert [type(error) for error in errors] == [Mismatch]
    values = {key: (await stored(store, key)).data for key in "abc"}
    assert values == {"a": b"2", "b": b"1", "c": b"2"}
    assert (await stored(store, "b")).etag == etags["b"]


async def test_c_st_19_bulk_set_all_right(store: Store) -> None:
    """C-ST-19: in a bulk set with right ETags all are applied and all ETags change."""
    await store.write_many([Item(key, b"1") for key in "ab"])
    before = {key: value.etag for key, value in (await store.get_many("ab")).items() if value}
    assert await store.write_many([Item(k, b"2", etag=before[k]) for k in "ab"]) == []
    for key in "ab":
        assert (await stored(store, key)).etag != before[key]


async def test_c_st_20_delete_with_etag(store: Store) -> None:
    """C-ST-20: a delete with the wrong ETag is refused, with the right one it leaves nothing."""
    await store.write(Item("k", b"1"))
    with pytest.raises(Mismatch):
        await store.write(Item("k", None, etag="bad"))
    kept = await stored(store, "k")
    await store.write(Item("k", None, etag=kept.etag))
    assert await store.get("k") is None


async def test_c_st_21_22_bulk_delete_one_wrong(store: Store) -> None:
    """C-ST-21, 22: a bulk delete with one wrong ETag keeps that key alone, unchanged."""
    await store.write_many([Item(key, b"1") for key in "abc"])
    before = await store.get_many("abc")
    assert before["a"]
    errors = await store.write_many(
        [Item("a", None, etag=before["a"].etag), Item("b", None, etag="bad"), Item("c", None)]
    )
    assert [type(error) for error in errors] == [Mismatch]
    assert await store.get_many("abc") == {"a": None, "b": before["b"], "c": None}


async def test_c_st_23_malformed_etag(store: Store) -> None:
    """C-ST-23: an ETag that the store never makes is a mismatch, not an internal error."""
    await store.write(Item("k", b"1"))
    for etag in ("not a number", "99999", "{", "é"):
        with pytest.raises(Mismatch):
            await store.write(Item("k", b"2", etag=etag))


@pytest.mark.parametrize("etag", [None, ""])
async def test_c_st_24_25_first_write(store: Store, etag: str | None) -> None:
    """C-ST-24, 25: first-write without an ETag, or with an empty one, refuses a second write."""
    await store.write(Item("k", b"1", etag=etag, first_write=True))
    with pytest.raises(store.traits.second_first_write):
        await store.write(Item("k", b"2", etag=etag, first_write=True))
    assert (await stored(store, "k")).data == b"1"


async def test_c_st_26_first_write_stale_etag(store: Store) -> None:
    """C-ST-26: with first-write an ETag serves once."""
    await store.write(Item("k", b"1"))
    etag = (await stored(store, "k")).etag
    await store.write(Item("k", b"2", etag=etag, first_write=True))
    with pytest.raises(Mismatch):
        await store.write(Item("k", b"3", etag=etag, first_write=True))
    assert (await stored(store, "k")).data == b"2"


async def test_first_write_after_expiry(store: Store) -> None:
    """An expired value does not stand in the way of a first write."""
    await store.write(Item("k", b"1", ttl="2"))
    await store.wait(3)
    await store.write(Item("k", b"2", first_write=True))
    assert (await stored(store, "k")).data == b"2"


@pytest.mark.parametrize("ttl", ["abc", "1.5", " 1", "1s"])
async def test_c_st_27_ttl_not_a_number(sidecar_store: SidecarStore, ttl: str) -> None:
    """C-ST-27: a TTL that is not an integer is refused and nothing is stored."""
    with pytest.raises(Refused) as refused:
        await sidecar_store.write(Item("k", b"1", ttl=ttl))
    assert (refused.value.status, refused.value.code) == (500, "ERR_STATE_SAVE")
    assert await sidecar_store.get("k") is None


@pytest.mark.row("I-ST")
async def test_c_st_28_ttl(store: Store) -> None:
    """C-ST-28: a value with a TTL is readable at once and gone afterwards, alone and in bulk."""
    await store.write(Item("k", b"1", ttl="2"))
    await store.transact([Item("t", b"1", ttl="2")])
    assert all((await store.get_many(["k", "t"])).values())
    await store.wait(3)
    assert await store.get("k") is None
    assert await store.get_many(["k", "t"]) == {"k": None, "t": None}


async def test_c_st_29_no_ttl(store: Store) -> None:
    """C-ST-29: a value without a TTL reports no time of expiry."""
    await store.write(Item("k", b"1"))
    assert (await stored(store, "k")).expires is None
    found = (await store.get_many(["k"]))["k"]
    assert found
    assert found.expires is None


async def test_c_st_30_ttl_reported(store: Store) -> None:
    """C-ST-30: the time of expiry is reported, alone and in bulk, by most."""
    await store.write(Item("k", b"1", ttl="3600"))
    for found in (await store.get("k"), (await store.get_many(["k"]))["k"]):
        assert found is not None
        assert (found.expires is not None) == store.traits.shows_expiry
        if found.expires is not None:
            assert abs(found.expires - (await store.wait(0) + 3600)) <= 60


@pytest.mark.parametrize("ttl", ["-1", "0", None])
async def test_c_st_31_32_ttl_removed(store: Store, ttl: str | None) -> None:
    """C-ST-31, 32: a TTL of -1 or 0, or on most a rewrite without one, removes an earlier TTL."""
    await store.write(Item("k", b"1", ttl="2"))
    await store.write(Item("k", b"2", ttl=ttl))
    await store.wait(100)
    if ttl is None and not store.traits.rewrite_ends_ttl:
        assert await store.get("k") is None
        return
    found = await stored(store, "k")
    assert found.data == b"2"
    assert found.expires is None


async def test_c_st_14_42_advertised_features(store: Store) -> None:
    """C-ST-14, 42: the store advertises ETags, transactions and TTL, whose rows pass above."""
    assert {"ETAG", "TRANSACTIONAL", "TTL"} <= set(await store.capabilities())


@pytest.mark.row("S-13")
async def test_injection_is_data(store: Store) -> None:
    """A key or value that looks like SQL is stored as it is and harms nothing."""
    nasty = "k'; DROP TABLE state; --"
    await store.write(Item("other", b"1"))
    await store.write(Item(nasty, b'"x\'; DELETE FROM state; --"'))
    assert (await stored(store, nasty)).data == b'"x\'; DELETE FROM state; --"'
    await store.write(Item(nasty, None))
    assert await store.get(nasty) is None
    assert await store.get("other") is not None


@pytest.mark.row("I-ST")
@pytest.mark.parametrize("key", ["a/b", "a b", "a+b", "a%2Fb", "ключ", "a.b|c", "x" * 500, "?#&"])
async def test_keys_keep_their_characters(store: Store, key: str) -> None:
    """A key with unusual characters is stored under itself and nothing else."""
    await store.write(Item(key, b"1"))
    assert (await stored(store, key)).data == b"1"
    assert list(await store.get_many([key])) == [key]
