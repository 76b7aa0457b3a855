"""Dapr's query language over stored JSON, and the stores that have it."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from daprflow.protocol import queries
from daprflow.protocol.queries import QueryError
from daprflow.sidecar.clock import VirtualClock
from daprflow.sidecar.components.base import ComponentError, StateWrite, StoredValue
from daprflow.sidecar.components.state_query import search
from daprflow.sidecar.components.state_querying import (
    QUERYING,
    QueryingInMemoryState,
    QueryingSqliteState,
)
from tests.helpers.components import context

PEOPLE: dict[str, Any] = {
    "ann": {"name": "Ann", "age": 30, "org": {"team": "dev"}, "tags": ["a", "b"], "vip": True},
    "bob": {"name": "Bob", "age": 20.5, "org": {"team": "ops"}, "lines": [{"n": 1}, {"n": 5}]},
    "cyd": {"name": "Cyd", "age": "old", "org": "none"},
    "text": "just text",
    "number": 7,
}
ITEMS = [(key, StoredValue(json.dumps(value).encode(), key)) for key, value in PEOPLE.items()]
ITEMS.append(("raw", StoredValue(b"\xff", "raw")))

Store = QueryingInMemoryState | QueryingSqliteState


def found(**document: Any) -> list[str]:
    """Return the keys that a query finds."""
    query = queries.decode(json.dumps(document).encode())
    return [key for key, _ in search(query, ITEMS).items]


@pytest.mark.parametrize(
    ("condition", "keys"),
    [
        ({"EQ": {"name": "Ann"}}, ["ann"]),
        ({"EQ": {"org.team": "ops"}}, ["bob"]),
        ({"EQ": {"age": 30.0}}, ["ann"]),
        ({"EQ": {"vip": True}}, ["ann"]),
        ({"EQ": {"vip": 1}}, []),
        ({"EQ": {"tags": "b"}}, ["ann"]),
        ({"EQ": {"lines.n": 5}}, ["bob"]),
        ({"EQ": {"nothing.here": 1}}, []),
        ({"NEQ": {"name": "Ann"}}, ["bob", "cyd", "text", "number", "raw"]),
        ({"GT": {"age": 20.5}}, ["ann"]),
        ({"GTE": {"age": 20.5}}, ["ann", "bob"]),
        ({"LT": {"age": 30}}, ["bob"]),
        ({"LTE": {"age": 30}}, ["ann", "bob"]),
        ({"IN": {"name": ["Bob", "Cyd", 3]}}, ["bob", "cyd"]),
        ({"AND": [{"GT": {"age": 1}}, {"EQ": {"org.team": "dev"}}]}, ["ann"]),
        ({"OR": [{"EQ": {"name": "Cyd"}}, {"EQ": {"name": "Ann"}}]}, ["ann", "cyd"]),
        ({}, [key for key, _ in ITEMS]),
    ],
)
def test_filters(condition: dict[str, Any], keys: list[str]) -> None:
    """Each operator finds what it says, of values of its own kind."""
    assert found(filter=condition) == keys


def test_orders() -> None:
    """Values are ordered by kind, then size; what is missing comes first; ties keep their order."""
    everything = ["text", "number", "raw", "bob", "ann", "cyd"]
    assert found(sort=[{"key": "age"}]) == everything
    assert found(sort=[{"key": "age", "order": "DESC"}])[:3] == ["cyd", "ann", "bob"]
    assert found(sort=[{"key": "org"}, {"key": "name", "order": "DESC"}])[-2:] == ["ann", "bob"]


def test_pages() -> None:
    """A limit gives a token, and the token the next part; without a limit there is none."""
    first = search(queries.decode(b'{"page": {"limit": 4}}'), ITEMS)
    assert ([key for key, _ in first.items], first.token) == (["ann", "bob", "cyd", "text"], "4")
    rest = search(queries.decode(b'{"page": {"limit": 4, "token": "4"}}'), ITEMS)
    assert ([key for key, _ in rest.items], rest.token) == (["number", "raw"], "6")
    assert search(queries.decode(b"{}"), ITEMS).token == ""


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (b"", "unexpected end of JSON|EOF"),
        (b"[1]", "cannot unmarshal array"),
        (b'{"filter": {"EQ": {"a": 1}, "IN": {}}}', "filter unit must have a single element"),
        (b'{"filter": {"EQ": 1}}', "EQ filter must be a map"),
        (b'{"filter": {"LT": {"a": 1, "b": 2}}}', "LT filter must contain a single key/value pair"),
        (b'{"filter": {"LIKE": {"a": 1}}}', 'unsupported filter "LIKE"'),
        (b'{"filter": {"IN": {"a": 1}}}', "IN filter value must be an array"),
        (b'{"filter": {"OR": {"EQ": {"a": 1}}}}', "OR filter must be an array"),
        (b'{"filter": {"AND": [{"EQ": {"a": 1}}]}}', "AND filter must contain at least two"),
        (b'{"filter": {"AND": [1, 2]}}', "filter unit must be a map"),
    ],
)
def test_unreadable_queries(document: bytes, reason: str) -> None:
    """A query that cannot be read is refused in the runtime's words."""
    with pytest.raises(QueryError, match=reason):
        queries.decode(document)


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({"filter": {"GT": {"a": "x"}}}, "unsupported type of value x; string type not permitted"),
        ({"filter": {"IN": {"a": []}}}, 'empty IN operator for key "a"'),
        ({"filter": {"EQ": {"a": None}}}, "unsupported type of value for key 'a'"),
        ({"page": {"limit": 1, "token": "x"}}, "strconv.ParseInt"),
        ({"page": {"limit": 1, "token": "-1"}}, "skip value must be non-negative"),
    ],
)
def test_impossible_queries(document: dict[str, Any], reason: str) -> None:
    """A query that the store cannot do is refused."""
    with pytest.raises(ComponentError, match=reason):
        found(**document)


@pytest.fixture(params=["memory", "sqlite in memory", "sqlite"])
async def store(
    request: pytest.FixtureRequest, tmp_path: Path, clock: VirtualClock
) -> AsyncIterator[Store]:
    """Each store that can be searched, as the stand-in of ``state.azure.cosmosdb``."""
    path = "state.db" if request.param == "sqlite" else ":memory:"
    factory = QueryingInMemoryState if request.param == "memory" else QueryingSqliteState
    made_from = context(tmp_path, clock, "state.azure.cosmosdb", connectionString=path)
    store = factory(made_from)
    await store.open()
    yield store
    await store.close()


@pytest.fixture
def clock() -> VirtualClock:
    """A clock that only the test moves."""
    return VirtualClock(1_700_000_000.0)


async def test_stores(store: Store, clock: VirtualClock) -> None:
    """A store searches what it holds and has not forgotten, in one partition if asked."""
    assert store.capabilities == QUERYING["state.azure.cosmosdb"]
    await store.write(StateWrite("a||1", b'{"n": 1}', ttl=5))
    await store.write(StateWrite("a||2", b'{"n": 2}'))
    await store.write(StateWrite("b||3", b"\xff"))
    above_0 = queries.decode(b'{"filter": {"GT": {"n": 0}}}')

    assert [key for key, _ in (await store.query(above_0, {})).items] == ["a||1", "a||2"]
    (only,) = (await store.query(above_0, {"partitionKey": "a||2"})).items
    assert only == ("a||2", await store.get("a||2"))
    clock.move_to(clock.now() + 6)
    assert [key for key, _ in (await store.query(above_0, {})).items] == ["a||2"]


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "unexpected end of JSON input"),
        (b"{", "unexpected end of JSON input"),
        (b"{}x", "invalid character 'x' after top-level value"),
    ],
)
def test_a_query_is_one_whole_document(body: bytes, text: str) -> None:
    """What ends too early, or goes on, is no query."""
    with pytest.raises(QueryError) as raised:
        queries.decode(body)
    assert str(raised.value) == text
