"""Metadata over gRPC: every field, and what an app notes."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from daprflow.protocol import messages as m
from daprflow.sidecar.options import RuntimeOptions
from tests.helpers.grpc_sidecar import GrpcSidecar, grpc_sidecar
from tests.helpers.policies import with_policies
from tests.helpers.recording import Answer, RecordingApp
from tests.helpers.sidecar import Components

POLICIES = "  policies: {timeouts: {short: 1s}}\n  targets: {}\n"
SUBSCRIPTION = {
    "pubsubname": "pubsub",
    "topic": "t",
    "deadLetterTopic": "dead",
    "metadata": {"k": "v"},
    "routes": {"rules": [{"match": 'event.type == "a"', "path": "/a"}], "default": "/t"},
}


@pytest.fixture
async def sidecar(tmp_path: Path) -> AsyncIterator[GrpcSidecar]:
    """A sidecar with an app that subscribes."""
    app = RecordingApp()
    app.answers["/dapr/subscribe"] = Answer.of([SUBSCRIPTION])
    options = RuntimeOptions(
        "app1", app_port=8000, app_max_concurrency=4, enable_app_health_check=True
    )
    components: Components = {"pubsub": ("pubsub.in-memory", {})}
    files = with_policies(tmp_path / "policies", components, POLICIES)
    async with grpc_sidecar(tmp_path, {}, app, options=options, files=files) as running:
        await running.inner.until(lambda: bool(running.inner.runtime.subscriptions))
        yield running


async def test_what_a_sidecar_tells_of_itself(sidecar: GrpcSidecar) -> None:
    """Components, subscriptions with nested rules, the app, its health, and policies are told."""
    found = await sidecar.stub.GetMetadata(m.GetMetadataRequest())
    rules = [
        m.PubsubSubscriptionRule(match='event.type == "a"', path="/a"),
        m.PubsubSubscriptionRule(path="/t"),
    ]
    assert list(found.subscriptions) == [
        m.PubsubSubscription(
            pubsub_name="pubsub",
            topic="t",
            metadata={"k": "v"},
            rules=m.PubsubSubscriptionRules(rules=rules),
            dead_letter_topic="dead",
            type=m.PROGRAMMATIC,
        )
    ]
    assert found.app_connection_properties == m.AppConnectionProperties(
        port=8000,
        protocol="http",
        channel_address="127.0.0.1",
        max_concurrency=4,
        health=m.AppConnectionHealthProperties(
            health_check_path="/healthz",
            health_probe_interval="5s",
            health_probe_timeout="500ms",
            health_threshold=3,
        ),
    )
    assert [each.name for each in found.registered_components] == ["pubsub"]
    assert [each.name for each in found.resiliencies] == ["res"]
    assert (found.id, found.runtime_version) == ("app1", "1.18.3")
    assert found.extended_metadata == {"daprRuntimeVersion": "1.18.3"}


async def test_an_empty_message_asks_for_the_same(sidecar: GrpcSidecar) -> None:
    """The Python SDK sends ``google.protobuf.Empty``: on the wire that is the same."""
    ask = sidecar.channel.unary_unary(
        "/dapr.proto.runtime.v1.Dapr/GetMetadata",
        request_serializer=m.Empty.SerializeToString,
        response_deserializer=m.GetMetadataResponse.FromString,
    )
    assert (await ask(m.Empty())).id == "app1"


async def test_an_app_notes_something(sidecar: GrpcSidecar) -> None:
    """What an app sets is told, over both APIs; a note without a name is none."""
    for key in ("note", ""):
        await sidecar.stub.SetMetadata(m.SetMetadataRequest(key=key, value="x"))
    found = await sidecar.stub.GetMetadata(m.GetMetadataRequest())
    assert found.extended_metadata == {"daprRuntimeVersion": "1.18.3", "note": "x"}
    assert sidecar.inner.runtime.extended == {"note": "x"}


@pytest.mark.parametrize(
    ("sent", "forced"), [((), False), ((("dapr-force-shutdown", "True"),), True)]
)
async def test_shutdown(
    sidecar: GrpcSidecar, sent: tuple[tuple[str, str], ...], *, forced: bool
) -> None:
    """A call asks for the end of the sidecar, at once where its metadata say so."""
    runtime = sidecar.inner.runtime
    assert await sidecar.stub.Shutdown(m.ShutdownRequest(), metadata=sent) == m.Empty()
    assert runtime.shutdown_requested.is_set()
    assert runtime.shutdown_forced is forced


async def test_health_of_an_app_over_grpc_has_no_path(tmp_path: Path) -> None:
    """An app that speaks gRPC is asked by a method, so that no path is told."""
    options = RuntimeOptions("app1", app_protocol="grpc", enable_app_health_check=True)
    async with grpc_sidecar(tmp_path, {}, options=options) as sidecar:
        found = await sidecar.stub.GetMetadata(m.GetMetadataRequest())
    health = found.app_connection_properties.health
    assert (health.health_check_path, health.health_probe_interval) == ("", "5s")
