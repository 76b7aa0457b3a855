"""Any bytes at the state and publish APIs: what is accepted arrives unchanged, the rest is told."""

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.helpers.sidecar import Components
from tests.helpers.subscribers import JSON, Subscribed, subscribed

COMPONENTS: Components = {
    "pubsub": ("pubsub.in-memory", {}),
    "store": ("state.sqlite", {"connectionString": ":memory:"}),
}
SUBSCRIPTIONS = [{"topic": "t", "route": "/t"}]

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=10,
)
CONTENT_TYPES = st.sampled_from(
    ["application/json", "text/plain", "application/octet-stream", "x/odd", "a/b; c=d", ""]
)

fuzzed = settings(max_examples=25, suppress_health_check=list(HealthCheck))


def with_sidecar(
    factory: pytest.TempPathFactory, body: Callable[[Subscribed], Awaitable[None]]
) -> None:
    """Run ``body`` with a sidecar of its own."""

    async def run() -> None:
        async with subscribed(factory.mktemp("fuzz"), SUBSCRIPTIONS, COMPONENTS) as found:
            await body(found)

    asyncio.run(run())


def finite(value: Any) -> bool:
    """Tell whether JSON can say ``value``."""
    return "Infinity" not in json.dumps(value)


def read(body: bytes) -> Any:
    """Decode JSON as the state API understands it: every number is a double."""
    return json.loads(body, parse_int=float)


@pytest.mark.row("I-ST")
@fuzzed
@given(values=st.lists(VALUES.filter(finite), max_size=8))
def test_state_values(tmp_path_factory: pytest.TempPathFactory, values: list[Any]) -> None:
    """A JSON value that is saved is read as the same value, alone and in bulk."""

    async def body(found: Subscribed) -> None:
        keys = [str(number) for number in range(len(values))]
        items = [{"key": key, "value": value} for key, value in zip(keys, values, strict=True)]
        saved = await found.send("POST", "/v1.0/state/store", json.dumps(items).encode())
        assert saved.status == 204, saved.body
        for key, value in zip(keys, values, strict=True):
            answer = await found.send("GET", f"/v1.0/state/store/{key}")
            assert read(answer.body) == value
        bulk = json.dumps({"keys": keys}).encode()
        answer = await found.send("POST", "/v1.0/state/store/bulk", bulk)
        data = {entry["key"]: entry["data"] for entry in read(answer.body)}
        assert data == dict(zip(keys, values, strict=True))

    with_sidecar(tmp_path_factory, body)


@fuzzed
@given(values=st.lists(VALUES.filter(finite), max_size=8))
def test_published_json(tmp_path_factory: pytest.TempPathFactory, values: list[Any]) -> None:
    """A JSON value that is published reaches the handler as the same value."""

    async def body(found: Subscribed) -> None:
        for value in values:
            data = json.dumps(value).encode()
            answer = await found.send("POST", "/v1.0/publish/pubsub/t", data, JSON)
            assert answer.status == 204
        calls = await found.arrived("/t", len(values))
        assert [json.loads(call.body)["data"] for call in calls] == values

    with_sidecar(tmp_path_factory, body)


@fuzzed
@given(bodies=st.lists(st.tuples(st.binary(max_size=40), CONTENT_TYPES), max_size=8))
def test_published_bytes(
    tmp_path_factory: pytest.TempPathFactory, bodies: list[tuple[bytes, str]]
) -> None:
    """Any bytes with any content type are accepted and arrive in an envelope that is JSON."""

    async def body(found: Subscribed) -> None:
        for data, content_type in bodies:
            headers = [("content-type", content_type)] if content_type else []
            answer = await found.send("POST", "/v1.0/publish/pubsub/t", data, headers)
            assert answer.status == 204
        calls = await found.arrived("/t", len(bodies))
        for call, (data, content_type) in zip(calls, bodies, strict=True):
            envelope = json.loads(call.body)
            if content_type == "application/octet-stream":
                assert base64.b64decode(envelope["data_base64"]) == data
            elif content_type != "application/json":
                assert envelope["data"] == data.decode("utf-8", "replace")

    with_sidecar(tmp_path_factory, body)


@fuzzed
@given(bodies=st.lists(st.binary(max_size=40) | TEXT.map(str.encode), max_size=8))
def test_any_bytes_on_every_route(
    tmp_path_factory: pytest.TempPathFactory, bodies: list[bytes]
) -> None:
    """Whatever a body is, each route answers 2xx, or 4xx in Dapr's shape and one line."""

    async def body(found: Subscribed) -> None:
        for target in (
            "/v1.0/state/store",
            "/v1.0/state/store/bulk",
            "/v1.0/state/store/transaction",
            "/v1.0/publish/bulk/pubsub/t",
            "/v1.0/bindings/none",
            "/v1.0/metadata/key",
        ):
            for data in bodies:
                answer = await found.send("PUT", target, data)
                if answer.status >= 300:
                    error = msgspec.json.decode(answer.body)
                    assert answer.status < 500 or "bindings" in target
                    assert error["errorCode"].startswith("ERR_")
                    assert "\n" not in error["message"]

    with_sidecar(tmp_path_factory, body)
