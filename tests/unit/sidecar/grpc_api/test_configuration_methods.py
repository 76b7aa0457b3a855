"""Configuration over gRPC: items, and streams of their changes that leave nothing behind."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from daprflow.protocol import messages as m
from daprflow.protocol.http import HttpRequest
from daprflow.sidecar.components.base import EditableConfiguration
from tests.helpers.grpc_calls import refusal
from tests.helpers.grpc_sidecar import GrpcSidecar, grpc_sidecar
from tests.helpers.sidecar import resources
from tests.helpers.timing import eventually

VERSIONS = ("", "Alpha1")


@pytest.fixture
async def sidecar(tmp_path: Path) -> AsyncIterator[GrpcSidecar]:
    """A sidecar with a store."""
    async with grpc_sidecar(tmp_path, {"config": ("configuration.daprflow", {})}) as running:
        yield running


@pytest.fixture
def store(sidecar: GrpcSidecar) -> EditableConfiguration:
    """The store, to change it."""
    found = sidecar.inner.runtime.configuration.editable("config")
    assert found is not None
    return found


def subscriptions(sidecar: GrpcSidecar) -> int:
    """Return how many subscriptions there are."""
    return len(sidecar.inner.runtime.configuration._subscriptions)


async def subscribe(sidecar: GrpcSidecar, *keys: str, version: str = "") -> tuple[Any, str]:
    """Open a stream; gives the id that its first message carries."""
    method = getattr(sidecar.stub, f"SubscribeConfiguration{version}")
    call = method(m.SubscribeConfigurationRequest(store_name="config", keys=keys))
    first = await call.read()
    assert first == m.SubscribeConfigurationResponse(id=first.id)
    return call, first.id


@pytest.mark.parametrize("version", VERSIONS)
async def test_items(sidecar: GrpcSidecar, store: EditableConfiguration, version: str) -> None:
    """A get gives the items that exist, with their versions."""
    await store.put("color", "blue", "1")
    get = getattr(sidecar.stub, f"GetConfiguration{version}")
    answer = await get(m.GetConfigurationRequest(store_name="config", keys=["color", "none"]))
    item = m.ConfigurationItem(value="blue", version="1")
    assert answer == m.GetConfigurationResponse(items={"color": item})


@pytest.mark.parametrize("version", VERSIONS)
async def test_changes_come_until_unsubscribed(
    sidecar: GrpcSidecar, store: EditableConfiguration, version: str
) -> None:
    """A stream tells of each change, and ends well when it is unsubscribed."""
    call, found = await subscribe(sidecar, "color", version=version)
    await store.put("other", "x", "")
    await store.put("color", "red", "2")
    item = m.ConfigurationItem(value="red", version="2")
    told = m.SubscribeConfigurationResponse(id=found, items={"color": item})
    assert await call.read() == told
    unsubscribe = getattr(sidecar.stub, f"UnsubscribeConfiguration{version}")
    request = m.UnsubscribeConfigurationRequest(store_name="ignored", id=found)
    assert await unsubscribe(request) == m.UnsubscribeConfigurationResponse(ok=True)
    assert await call.read() is grpc.aio.EOF
    assert await call.code() is grpc.StatusCode.OK
    assert subscriptions(sidecar) == 0


async def test_a_client_that_leaves_frees_its_subscription(
    sidecar: GrpcSidecar, store: EditableConfiguration
) -> None:
    """Whether it cancels or its connection is gone, nothing of it stays."""
    call, _ = await subscribe(sidecar)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{sidecar.port}") as channel:
        other = m.DaprStub(channel).SubscribeConfiguration(
            m.SubscribeConfigurationRequest(store_name="config")
        )
        assert (await other.read()).id
        assert subscriptions(sidecar) == 2
        call.cancel()
        await eventually(lambda: subscriptions(sidecar) == 1)
    await eventually(lambda: subscriptions(sidecar) == 0)
    await store.put("color", "red", "")
    await eventually(lambda: sidecar.inner.engine.work.count == 0)


async def test_unsubscribing_what_is_not_there(sidecar: GrpcSidecar) -> None:
    """An unknown id is told in the answer, not as a failure."""
    request = m.UnsubscribeConfigurationRequest(store_name="config", id="none")
    text = "failed to unsubscribe to configuration request none: subscription does not exist"
    answer = await sidecar.stub.UnsubscribeConfiguration(request)
    assert answer == m.UnsubscribeConfigurationResponse(ok=False, message=text)


async def test_the_end_of_a_store_ends_its_streams(sidecar: GrpcSidecar) -> None:
    """When the sidecar closes the block, streams end."""
    call, _ = await subscribe(sidecar)
    await sidecar.inner.runtime.configuration.close()
    assert await asyncio.wait_for(call.read(), 10) is grpc.aio.EOF


async def test_a_changed_file_moves_a_stream(sidecar: GrpcSidecar) -> None:
    """A stream goes on with the store that its file describes now, and ends with its store."""
    call, found = await subscribe(sidecar)
    runtime = sidecar.inner.runtime
    other = resources({"config": ("configuration.daprflow", {"other": "1"})})
    assert await runtime.reload(other) == ()
    store = runtime.configuration.editable("config")
    assert store is not None
    await store.put("color", "red", "")
    item = m.ConfigurationItem(value="red")
    told = m.SubscribeConfigurationResponse(id=found, items={"color": item})
    assert await call.read() == told
    assert await runtime.reload(resources({})) == ()
    assert await asyncio.wait_for(call.read(), 10) is grpc.aio.EOF
    assert await call.code() is grpc.StatusCode.OK


async def test_http_can_end_a_stream(sidecar: GrpcSidecar) -> None:
    """Whoever knows the id may end the subscription through the other API, too."""
    call, found = await subscribe(sidecar)
    path = f"/v1.0/configuration/config/{found}/unsubscribe"
    answer = await sidecar.inner.exchange.send(HttpRequest("GET", path))
    assert answer.body.strip() == b'{"ok":true}'
    assert await asyncio.wait_for(call.read(), 10) is grpc.aio.EOF


async def test_an_unknown_store(sidecar: GrpcSidecar) -> None:
    """Unlike over HTTP a reason comes with it; a stream fails as a get does."""
    info = m.ErrorInfo(reason="ERR_CONFIGURATION_STORE_NOT_FOUND", domain="dapr.io")
    get = sidecar.stub.GetConfiguration(m.GetConfigurationRequest(store_name="zzz"))
    found = await refusal(get)
    assert (found.code, found.text, found.info) == (
        "INVALID_ARGUMENT",
        "configuration store zzz not found",
        info,
    )
    request = m.SubscribeConfigurationRequest(store_name="zzz")
    assert await refusal(sidecar.stub.SubscribeConfiguration(request).read()) == found


async def test_without_any_store(tmp_path: Path) -> None:
    """Where no store is loaded that is a failed precondition."""
    async with grpc_sidecar(tmp_path, {}) as sidecar:
        request = m.GetConfigurationRequest(store_name="a")
        found = await refusal(sidecar.stub.GetConfiguration(request))
    assert found.code == "FAILED_PRECONDITION"
    assert found.info is not None
    assert found.info.reason == "ERR_CONFIGURATION_STORE_NOT_CONFIGURED"
