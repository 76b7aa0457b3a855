"""Many keys of a state store at once, transactions and queries, against the embedded sidecar."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from daprflow.client import EQ, GT, IN, Client, Delete, Item, Upsert, ascending, descending
from daprflow.errors import BulkStateError, EtagMismatch, NotFound, SidecarError
from daprflow.protocol.http import HttpRequest
from daprflow.sidecar.components.base import StateWrite
from daprflow.sidecar.http_api.app import HttpApi
from daprflow.testing.transport import InProcessTransport
from tests.helpers.sidecar import InProcessSidecar, in_process_sidecar


class Cart(msgspec.Struct):
    """A value."""

    items: list[str] = []


@pytest.fixture
async def sidecar(tmp_path: Path) -> AsyncIterator[InProcessSidecar]:
    """An embedded sidecar with a store in memory and one in a file."""
    components = {
        "memory": ("state.in-memory", {}),
        "file": ("state.sqlite", {"connectionString": "state.db"}),
    }
    async with in_process_sidecar(tmp_path, components) as found:
        yield found


@pytest.fixture
async def client(sidecar: InProcessSidecar) -> AsyncIterator[Client]:
    """A client of that sidecar."""
    transport = InProcessTransport(HttpApi(sidecar.runtime))
    async with Client(transport=transport) as client:
        yield client


@pytest.fixture(params=["memory", "file"])
def name(request: pytest.FixtureRequest) -> str:
    """Each of its stores."""
    return str(request.param)


async def test_many_are_set_read_and_deleted(client: Client, name: str) -> None:
    """What was set together is read together, None standing for what is not there."""
    store = client.state(name)
    await store.set_many({"a": Cart(["x"]), "b": Cart()})

    found = await store.get_many(["a", "b", "none", "a"], Cart)

    assert {key: item and item.value for key, item in found.items()} == {
        "a": Cart(["x"]),
        "b": Cart(),
        "none": None,
    }
    assert found["a"] == await store.get("a", Cart)
    await store.delete_many(["a", "b", "never"])
    assert set((await store.get_many(["a", "b"], Cart)).values()) == {None}


async def test_nothing_at_all_needs_no_call(client: Client) -> None:
    """No keys give no values, and writing none does nothing."""
    store = client.state("memory")

    assert dict(await store.get_many([], int)) == {}
    await store.set_many({})
    await store.delete_many([])


async def test_a_value_of_another_type_spares_the_others(client: Client) -> None:
    """A key whose value does not fit fails by itself, when it is asked for."""
    store = client.state("memory")
    await store.set_many({"good": 1, "bad": "text"})

    found = await store.get_many(["good", "bad"], int)

    assert found["good"] is not None
    assert set(found) == {"good", "bad"}
    assert set(found.failed) == {"bad"}
    with pytest.raises(msgspec.ValidationError, match="'bad'"):
        found["bad"]


async def test_writes_fail_by_key(client: Client, name: str) -> None:
    """Of many writes those with a stale ETag fail, each with its error; the others are done."""
    store = client.state(name)
    await store.set_many({"a": 1, "b": 1, "c": 1})
    current = await store.get("a", int)
    assert current

    with pytest.raises(BulkStateError) as failure:
        await store.set_many(
            [Upsert("a", 2, etag=current.etag), Upsert("b", 2, etag="stale"), Upsert("c", 2)]
        )

    assert {key: type(error) for key, error in failure.value.failed.items()} == {"b": EtagMismatch}
    found = await store.get_many("abc", int)
    assert [item and item.value for item in found.values()] == [2, 1, 2]
    with pytest.raises(BulkStateError) as failure:
        await store.delete_many(["a", Delete("b", etag="stale")])
    assert set(failure.value.failed) == {"b"}
    assert await store.get("a", int) is None


async def test_an_unknown_store_is_one_error(client: Client) -> None:
    """Where nothing can be done at all there is one plain error, or one for each key."""
    store = client.state("nowhere")

    with pytest.raises(NotFound):
        await store.set_many({"a": 1})
    with pytest.raises(BulkStateError) as failure:
        await store.set_many({"a": 1, "b": 2})
    assert {type(error) for error in failure.value.failed.values()} == {NotFound}
    with pytest.raises(NotFound):
        await store.get_many(["a"], int)


async def test_a_transaction_is_all_or_nothing(client: Client, name: str) -> None:
    """A transaction's writes are seen together; one stale ETag undoes all and is a mismatch."""
    store = client.state(name)
    await store.set("old", 1)
    await store.transaction(
        Upsert("a", Cart(["x"])), Upsert("b", 2, ttl=timedelta(hours=1)), Delete("old")
    )
    found = await store.get("b", int)
    assert found is not None
    assert found.expires is not None
    assert await store.get("old", int) is None

    with pytest.raises(EtagMismatch):
        await store.transaction(Upsert("a", Cart()), Upsert("b", 3, etag="stale"))
    assert await store.get("b", int) == found
    await store.transaction(Upsert("b", 4, etag=found.etag), Delete("a"))
    assert (await store.get_many("ab", int))["a"] is None
    await store.transaction()


async def test_first_write_and_last_write(client: Client, name: str) -> None:
    """With first-write nothing is overwritten; consistency and metadata are taken along."""
    store = client.state(name)
    await store.set("k", 1, concurrency="first-write", consistency="strong")
    with pytest.raises(EtagMismatch):
        await store.set("k", 2, concurrency="first-write")
    await store.set("k", 3, concurrency="last-write", metadata={"ttlInSeconds": "60"})

    item = await store.get("k", int, consistency="strong", metadata={"any": "thing"})

    assert item is not None
    assert item.value == 3
    assert item.expires is not None
    await store.delete("k", concurrency="first-write", consistency="eventual", etag=item.etag)
    assert await store.get("k", int) is None
    await store.delete("k")
    with pytest.raises(EtagMismatch):
        await store.delete("k", etag=item.etag)


@pytest.mark.parametrize("value", [b"", b"\x00\xff" * 300, b'{"a": 1}', b'"text"', b"null"])
async def test_bytes_survive(client: Client, name: str, value: bytes) -> None:
    """Bytes come back byte for byte, alone, in bulk and from a transaction."""
    store = client.state(name)
    await store.set("a", value)
    await store.transaction(Upsert("b", bytearray(value)))
    await store.set_many({"c": memoryview(value)})

    found = await store.get_many("abc", bytes)

    assert [item and item.value for item in found.values()] == [value] * 3
    assert await store.get("a", bytes) == found["a"]


@pytest.mark.parametrize("raw", [b"\x00\xff", b"text", b'{"a": 1}', b'"YQ=="', b"", b'"data:'])
async def test_bytes_of_other_writers(
    client: Client, sidecar: InProcessSidecar, raw: bytes
) -> None:
    """What another SDK stored over gRPC, JSON or not, is read as it stands."""
    component = sidecar.runtime.loaded("state")["memory"]
    await component.write(StateWrite("app1||k", raw))  # type: ignore[attr-defined]
    store = client.state("memory")
    await store.set("good", b"ours")

    item = await store.get("k", bytes)
    found = await store.get_many(["k", "none", "good"], bytes)

    assert item == Item(raw, item.etag if item else "")
    assert [each and each.value for each in found.values()] == [raw, None, b"ours"]


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ('"ours \\u2713"', "ours ✓"),
        ("theirs ✓", "theirs ✓"),
        ("42", "42"),
        ("null", "null"),
        ('{"a":1}', '{"a":1}'),
        ('"quoted" and not', '"quoted" and not'),
    ],
)
async def test_text_of_other_writers(
    client: Client, sidecar: InProcessSidecar, raw: str, text: str
) -> None:
    """What another SDK stored as text over gRPC has no quotes, and is text nevertheless."""
    component = sidecar.runtime.loaded("state")["memory"]
    await component.write(StateWrite("app1||k", raw.encode()))  # type: ignore[attr-defined]
    store = client.state("memory")

    item = await store.get("k", str)
    found = (await store.get_many(["k", "none"], str))["k"]

    assert item is not None
    assert item.value == text
    assert found == item


async def test_a_bulk_get_survives_a_value_that_is_no_json(
    client: Client, sidecar: InProcessSidecar
) -> None:
    """The runtime answers nothing where one value is not JSON; the keys are then read singly."""
    component = sidecar.runtime.loaded("state")["memory"]
    await component.write(StateWrite("app1||odd", b"\x00\xff"))  # type: ignore[attr-defined]
    store = client.state("memory")
    await store.set("good", 1)

    found = await store.get_many(["good", "odd", "none"], int)

    assert found["good"] is not None
    assert found["none"] is None
    assert set(found.failed) == {"odd"}


@pytest.mark.parametrize("value", [2**53 + 1, -(2**53) - 1, {"a": [10**20]}, [Cart(), 2**60]])
async def test_integers_that_would_be_rounded_are_refused(client: Client, value: object) -> None:
    """An integer that a runtime would round is refused, and nothing is written."""
    store = client.state("memory")
    for write in (
        store.set("k", value),
        store.set_many({"k": value, "other": 1}),
        store.transaction(Upsert("other", 1), Upsert("k", value)),
    ):
        with pytest.raises(ValueError, match=r"'k' holds an integer beyond"):
            await write
    assert await store.get("other", int) is None


@pytest.mark.parametrize("value", [2**53, -(2**53), 12345678.123456789, "12345678901234567890"])
async def test_numbers_that_survive_are_kept(client: Client, value: float | str) -> None:
    """Integers up to 2^53, fractions and digits in a text come back as they were."""
    store = client.state("file")
    await store.set("k", value)
    item = await store.get("k", type(value))
    assert item is not None
    assert item.value == value


async def test_a_store_without_queries_says_so(client: Client, name: str) -> None:
    """Asking a store that cannot be searched gives the runtime's error."""
    with pytest.raises(SidecarError, match="does not support querying"):
        await client.state(name).query(Cart, EQ("a", 1))


async def test_a_query_is_checked_before_it_is_sent(client: Client) -> None:
    """A limit below 1 makes no sense."""
    with pytest.raises(ValueError, match="limit is 0"):
        await client.state("memory").query(Cart, limit=0)


def test_filters_and_orders_add_up() -> None:
    """Filters joined with one sign stand in one list; orders are tuples."""
    both = EQ("a", 1) & GT("b", 2) & IN("c", ("x",))
    assert len(both.filters) == 3
    assert len((both | EQ("d", None) | EQ("e", "f")).filters) == 3
    assert [s.order for s in ascending("a", "b") + descending("c")] == ["ASC", "ASC", "DESC"]


async def test_records_have_a_type_and_a_prefix(client: Client, name: str) -> None:
    """Values of one type under one prefix need neither in each call."""
    carts = client.state(name).records(Cart, "cart:")
    await carts.set("ann", Cart(["x"]), ttl=timedelta(hours=1))
    assert await carts.get("ann") == await client.state(name).get("cart:ann", Cart)
    found = await carts.get_many(["ann", "bob"])
    assert found["bob"] is None
    assert await carts.update("bob", lambda cart: cart or Cart(["new"])) == Cart(["new"])
    await carts.delete("ann")
    assert await carts.get("ann") is None
    with pytest.raises(ValueError, match="state key is empty"):
        await carts.get("")


async def test_64_writers_lose_nothing(client: Client, name: str) -> None:
    """Of 64 concurrent read-modify-writes of one key each one counts."""

    def add_one(count: int | None) -> int:
        return (count or 0) + 1

    store = client.state(name)
    await asyncio.gather(*(store.update("n", int, add_one, attempts=64) for _ in range(64)))
    item = await store.get("n", int)
    assert item is not None
    assert item.value == 64


async def test_the_runtime_gets_what_was_asked(sidecar: InProcessSidecar, client: Client) -> None:
    """The client's JSON is what other clients read: no wrapping of its own."""
    await client.state("memory").set("k", Cart(["x"]))
    answer = await sidecar.exchange.send(HttpRequest("GET", "/v1.0/state/memory/k"))
    assert answer.body == b'{"items":["x"]}'
