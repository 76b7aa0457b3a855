"""The sidecar's own routes, through which commands change configuration."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from daprflow.protocol.configuration_file import ApiRule, ConfigurationResource
from daprflow.protocol.http import HttpRequest, HttpResponse
from daprflow.sidecar.components.base import StateWrite
from daprflow.sidecar.options import RuntimeOptions
from tests.helpers.recording import RecordingApp
from tests.helpers.sidecar import Components, InProcessSidecar, in_process_sidecar, resources

STORES: Components = {"settings": ("configuration.daprflow", {})}


@pytest.fixture
async def sidecar(tmp_path: Path) -> AsyncIterator[InProcessSidecar]:
    """A sidecar with one store."""
    async with in_process_sidecar(tmp_path, STORES, RecordingApp()) as running:
        yield running


async def call(
    sidecar: InProcessSidecar, method: str, path: str, body: bytes = b"", *headers: tuple[str, str]
) -> HttpResponse:
    """Call one of the routes."""
    target = f"/daprflow/configuration{path}"
    return await sidecar.exchange.send(HttpRequest(method, target, headers, body))


async def test_set_and_delete(sidecar: InProcessSidecar) -> None:
    """An item that was put is read through Dapr's API, until it is deleted."""
    answer = await call(sidecar, "PUT", "/settings/a%2Fb", b'{"value": "1", "version": "2"}')
    assert answer.status == 204
    read = HttpRequest("GET", "/v1.0/configuration/settings")
    answer = await sidecar.exchange.send(read)
    assert msgspec.json.decode(answer.body) == {"a/b": {"value": "1", "version": "2"}}
    assert (await call(sidecar, "DELETE", "/settings/a%2Fb")).status == 204
    assert (await sidecar.exchange.send(read)).status == 204
    answer = await call(sidecar, "DELETE", "/settings/a%2Fb")
    assert (answer.status, b"there is no item 'a/b'" in answer.body) == (404, True)


async def test_which_stores_there_are(sidecar: InProcessSidecar) -> None:
    """The stores that can be changed are listed; an unknown one is answered with them."""
    assert (await call(sidecar, "GET", "")).body == b'["settings"]'
    answer = await call(sidecar, "PUT", "/zzz/a", b'{"value": "1"}')
    assert answer.status == 404
    assert b"there is no configuration store 'zzz'; there is 'settings'" in answer.body


@pytest.mark.parametrize("body", [b"", b"[", b'{"value": 1}', b'{"value": ""}'])
async def test_bad_items(sidecar: InProcessSidecar, body: bytes) -> None:
    """What is no item is refused."""
    assert (await call(sidecar, "PUT", "/settings/a", body)).status == 400


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/settings/a"), ("PUT", "/settings"), ("GET", "/settings/a")]
)
async def test_other_routes_are_none(sidecar: InProcessSidecar, method: str, path: str) -> None:
    """There is nothing else."""
    assert (await call(sidecar, method, path)).status == 404


async def test_invocation_goes_before(sidecar: InProcessSidecar) -> None:
    """A request for an app is passed on to it, wherever its path leads."""
    header = ("dapr-app-id", "app1")
    answer = await call(sidecar, "PUT", "/settings/a", b'{"value": "1"}', header)
    assert answer.status == 200
    read = HttpRequest("GET", "/v1.0/configuration/settings")
    assert (await sidecar.exchange.send(read)).status == 204


async def test_the_token_is_asked_for(tmp_path: Path) -> None:
    """Where callers need a token, these routes need it, too."""
    options = RuntimeOptions("app1", api_token="t")
    async with in_process_sidecar(tmp_path, STORES, options=options) as sidecar:
        assert (await call(sidecar, "GET", "")).status == 401
        assert (await call(sidecar, "GET", "", b"", ("dapr-api-token", "t"))).status == 200


KEYED: Components = {
    "own": ("state.in-memory", {}),
    "shared": ("state.sqlite", {"connectionString": "state.db", "keyPrefix": "none"}),
}


async def keys(sidecar: InProcessSidecar, query: str) -> HttpResponse:
    """List keys of a state store."""
    return await sidecar.exchange.send(HttpRequest("GET", f"/daprflow/state/{query}"))


@pytest.mark.parametrize("store", KEYED)
async def test_keys_of_a_store(tmp_path: Path, store: str) -> None:
    """The app's own keys are listed, sorted, up to a limit; not those of actors and other apps."""
    async with in_process_sidecar(tmp_path, KEYED) as sidecar:
        items = msgspec.json.encode([{"key": key, "value": 1} for key in ("b:2", "b:1", "a%")])
        saved = await sidecar.exchange.send(HttpRequest("POST", f"/v1.0/state/{store}", (), items))
        assert saved.status == 204
        component = sidecar.runtime.state._stores[store].component
        for key in ("other||b:3", "app1||Cart||ann||state"):
            await component.write(StateWrite(key, b"1"))
        found = msgspec.json.decode((await keys(sidecar, store)).body)
        assert found == {"keys": ["a%", "b:1", "b:2"], "more": False}
        found = msgspec.json.decode((await keys(sidecar, f"{store}?prefix=b%3A&limit=1")).body)
        assert found == {"keys": ["b:1"], "more": True}
        assert (await keys(sidecar, "nowhere")).status == 400


async def test_keys_are_state(tmp_path: Path) -> None:
    """Where the state API is denied, its keys are not told either."""
    denied = ConfigurationResource(api_denied=(ApiRule("state", "v1.0", "http"),))
    files = replace(resources(KEYED), configuration=denied)
    async with in_process_sidecar(tmp_path, {}, files=files) as sidecar:
        assert (await keys(sidecar, "own")).status == 404
