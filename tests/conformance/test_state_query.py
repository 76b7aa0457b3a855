"""The query API of stores that have it: Dapr's scenarios, and its errors."""

import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from daprflow.client import EQ, GTE, IN, LT, Client, Item, descending
from daprflow.errors import SidecarError
from daprflow.protocol.http import HttpRequest
from daprflow.protocol.resources import ComponentResource
from daprflow.sidecar.blocks.state import StateBlock
from daprflow.sidecar.components.base import StateWrite
from daprflow.sidecar.components.state_querying import QueryingInMemoryState, QueryingSqliteState
from daprflow.sidecar.http_api.app import HttpApi
from daprflow.sidecar.loading import LoadedComponent
from daprflow.testing.transport import InProcessTransport
from tests.helpers.components import context
from tests.helpers.sidecar import InProcessSidecar, in_process_sidecar

STORED: Mapping[str, Any] = {
    "struct": {"message": "testK"},
    "active": {"product": {"value": 15}, "status": "ACTIVE", "message": "Kmessage"},
    "inactive": {"product": {"value": 12}, "status": "INACTIVE", "message": "Kmessage"},
    "struct-2": {"message": "Ktest"},
    "struct-with-int": {"message": 42},
    "int": 123,
    "text": '{"message": "testK"}',
}
SCENARIOS: Mapping[str, tuple[Any, list[str]]] = {
    "or, eq, in": (
        {"OR": [{"EQ": {"message": "dummy"}}, {"IN": {"message": ["testK", "dummy"]}}]},
        ["struct"],
    ),
    "and, gte, lt, neq": (
        {
            "AND": [
                {"EQ": {"message": "Kmessage"}},
                {"GTE": {"product.value": 10}},
                {"LT": {"product.value": 20}},
                {"NEQ": {"status": "INACTIVE"}},
            ]
        },
        ["active"],
    ),
    "or of ands": (
        {
            "OR": [
                {
                    "AND": [
                        {"EQ": {"message": "Kmessage"}},
                        {"GT": {"product.value": 11.1}},
                        {"EQ": {"status": "INACTIVE"}},
                    ]
                },
                {
                    "AND": [
                        {"EQ": {"message": "Kmessage"}},
                        {"LTE": {"product.value": 0.5}},
                        {"EQ": {"status": "ACTIVE"}},
                    ]
                },
            ]
        },
        ["inactive"],
    ),
    "several partitions": (
        {"OR": [{"EQ": {"message": "Ktest"}}, {"IN": {"message": ["testK", "dummy"]}}]},
        ["struct", "struct-2"],
    ),
}


@contextlib.asynccontextmanager
async def with_store(root: Path, factory: Any, kind: str) -> AsyncIterator[InProcessSidecar]:
    """Start a sidecar and give it a store ``q`` that can be searched."""
    async with in_process_sidecar(root, {}) as sidecar:
        made_from = context(root, sidecar.clock, kind, connectionString="state.db")
        component = factory(made_from)
        await component.open()
        resource = ComponentResource("q", kind)
        sidecar.runtime.components = [LoadedComponent(resource, made_from, component)]
        sidecar.runtime.state = StateBlock(sidecar.runtime)
        try:
            yield sidecar
        finally:
            await component.close()


@pytest.fixture(params=[QueryingInMemoryState, QueryingSqliteState])
async def sidecar(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[InProcessSidecar]:
    """A sidecar whose store can be searched and holds Dapr's test values."""
    async with with_store(tmp_path, request.param, "state.mongodb") as found:
        body = json.dumps([{"key": key, "value": value} for key, value in STORED.items()]).encode()
        answer = await found.exchange.send(HttpRequest("POST", "/v1.0/state/q", (), body))
        assert answer.status == 204
        yield found


@pytest.mark.parametrize("name", SCENARIOS)
async def test_c_st_04_queries(sidecar: InProcessSidecar, name: str) -> None:
    """C-ST-04: each of Dapr's scenarios gives its results, in order, without the keys' prefix."""
    condition, keys = SCENARIOS[name]
    body = json.dumps({"filter": condition}).encode()
    target = "/v1.0-alpha1/state/q/query?metadata.contentType=application%2Fjson"
    answer = await sidecar.exchange.send(HttpRequest("POST", target, (), body))
    assert (answer.status, answer.header("content-type")) == (200, "application/json")
    results = json.loads(answer.body)["results"]
    assert [(each["key"], each["data"]) for each in results] == [(k, STORED[k]) for k in keys]
    assert all(each["etag"] for each in results)


async def test_c_st_04_one_partition(tmp_path: Path) -> None:
    """C-ST-04: a store with partitions searches the one that is asked for."""
    async with with_store(tmp_path, QueryingInMemoryState, "state.azure.cosmosdb") as sidecar:
        component = sidecar.runtime.components[0].instance
        for key in ("struct", "struct-2"):
            await component.write(  # type: ignore[attr-defined]
                StateWrite(key, json.dumps(STORED[key]).encode())
            )
        target = "/v1.0-alpha1/state/q/query?metadata.partitionKey=struct-2"
        answer = await sidecar.exchange.send(HttpRequest("POST", target, (), b"{}"))
        assert [each["key"] for each in json.loads(answer.body)["results"]] == ["struct-2"]


async def test_nothing_found_is_204(sidecar: InProcessSidecar) -> None:
    """A query that finds nothing has no answer but its status."""
    body = b'{"filter": {"EQ": {"message": "nobody"}}}'
    answer = await sidecar.exchange.send(HttpRequest("PUT", "/v1.0-alpha1/state/q/query", (), body))
    assert (answer.status, answer.body) == (204, b"")


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"{", "failed to parse JSON query body: "),
        (b'{"filter": {"X": 1}}', 'failed to parse JSON query body: unsupported filter "X"'),
        (b'{"filter": {"GT": {"a": "b"}}}', "unsupported type of value b; string type not"),
    ],
)
async def test_refused_queries(sidecar: InProcessSidecar, body: bytes, text: str) -> None:
    """What cannot be read or done is ERR_STATE_QUERY, with the reason."""
    answer = await sidecar.exchange.send(
        HttpRequest("POST", "/v1.0-alpha1/state/q/query", (), body)
    )
    error = json.loads(answer.body)
    assert (answer.status, error["errorCode"]) == (500, "ERR_STATE_QUERY")
    assert error["message"].startswith(f"state store q query failed: {text}")
    assert error["details"][1]["reason"] == "DAPR_STATE_QUERY_FAILED"


async def test_the_client_queries(sidecar: InProcessSidecar) -> None:
    """The client's filters find typed values, page by page."""
    async with Client(transport=InProcessTransport(HttpApi(sidecar.runtime))) as client:
        store = client.state("q")
        where = EQ("message", "Kmessage") & GTE("product.value", 1) & LT("product.value", 99)

        first = await store.query(dict, where, sort=descending("product.value"), limit=1)
        rest = await store.query(
            dict, where, sort=descending("product.value"), limit=5, token=first.token
        )
        mixed = await store.query(dict, IN("message", ("testK", 42)) | EQ("nothing", 1))

        assert [list(first), list(rest)] == [[STORED["active"]], [STORED["inactive"]]]
        item = first.items["active"]
        assert item == await store.get("active", dict)
        assert isinstance(item, Item)
        assert list(mixed.items) == ["struct", "struct-with-int"]
        assert (await store.query(dict)).failed.keys() >= {"int", "text"}
        assert not (await store.query(dict, EQ("message", "nobody"))).items
        with pytest.raises(SidecarError, match="string type not permitted"):
            await store.query(dict, GTE("message", "a"))


async def test_the_capability_is_shown(sidecar: InProcessSidecar) -> None:
    """C-ST-42: a store that can be searched says so."""
    assert "QUERY_API" in sidecar.runtime.components[0].instance.capabilities
