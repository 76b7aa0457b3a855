"""The metadata document: what is in it, and what is left out."""

import json
from pathlib import Path
from typing import Any

import pytest

from daprflow.protocol.documents import BulkSubscribe, Routes, Rule, Subscription
from daprflow.sidecar.blocks.actors import ActorsBlock
from daprflow.sidecar.blocks.metadata import MetadataBlock, go_duration
from daprflow.sidecar.blocks.pubsub_wanted import Wanted
from daprflow.sidecar.blocks.workflows import WorkflowsBlock
from daprflow.sidecar.clock import VirtualClock
from daprflow.sidecar.engine import Engine
from daprflow.sidecar.options import RuntimeOptions
from daprflow.sidecar.resources import Resources
from daprflow.sidecar.runtime import Runtime


class Subscribed(Runtime):
    """A runtime whose subscriptions are given."""

    given: tuple[Wanted, ...] = ()

    @property
    def subscriptions(self) -> tuple[Wanted, ...]:
        """Return them."""
        return self.given


def document(root: Path, options: RuntimeOptions, *given: Subscription) -> dict[str, Any]:
    """Return the document of a sidecar."""
    runtime = Subscribed(Engine(VirtualClock(), None, root), options, Resources(), None)
    runtime.actors = ActorsBlock(runtime)
    runtime.workflows = WorkflowsBlock(runtime)
    runtime.given = tuple(Wanted(each) for each in given)
    found: dict[str, Any] = json.loads(MetadataBlock(runtime).document())
    return found


@pytest.mark.row("I-MI")
def test_a_sidecar_without_anything(tmp_path: Path) -> None:
    """What is empty is left out; the id and the versions are always there."""
    found = document(tmp_path, RuntimeOptions("a<b"))
    assert found == {
        "id": "a<b",
        "runtimeVersion": "1.18.3",
        "enabledFeatures": ["HotReload", "WorkflowsRemoteActivityReminder"],
        "extended": {"daprRuntimeVersion": "1.18.3"},
        "appConnectionProperties": {"protocol": "http", "channelAddress": "127.0.0.1"},
        "actorRuntime": {
            "runtimeStatus": "RUNNING",
            "hostReady": True,
            "placement": "placement: connected",
        },
    }


def test_the_connection_to_the_app(tmp_path: Path) -> None:
    """Port, concurrency and health checks are shown where they are set."""
    options = RuntimeOptions(
        "a",
        app_port=8000,
        app_max_concurrency=4,
        enable_app_health_check=True,
        app_health_probe_interval=65,
    )
    assert document(tmp_path, options)["appConnectionProperties"] == {
        "port": 8000,
        "protocol": "http",
        "channelAddress": "127.0.0.1",
        "maxConcurrency": 4,
        "health": {
            "healthCheckPath": "/healthz",
            "healthProbeInterval": "1m5s",
            "healthProbeTimeout": "500ms",
            "healthThreshold": 3,
        },
    }


def test_subscriptions(tmp_path: Path) -> None:
    """A route is a rule without a match; rules come in order, the default last."""
    plain = Subscription("ps", "t", route="/t", bulk_subscribe=BulkSubscribe(enabled=True))
    routed = Subscription(
        "ps",
        "u",
        routes=Routes((Rule("/a", 'event.type == "a"'),), "/b"),
        dead_letter_topic="dead",
        metadata={"rawPayload": "true"},
    )
    no_default = Subscription("ps", "v", routes=Routes((Rule("/a", "true"),)))
    found = document(tmp_path, RuntimeOptions("a"), plain, routed, no_default)["subscriptions"]
    assert found[0] == {
        "pubsubname": "ps",
        "topic": "t",
        "rules": [{"path": "/t"}],
        "deadLetterTopic": "",
        "type": "PROGRAMMATIC",
    }
    assert found[1]["rules"] == [{"match": 'event.type == "a"', "path": "/a"}, {"path": "/b"}]
    assert (found[1]["deadLetterTopic"], found[1]["metadata"]) == ("dead", {"rawPayload": "true"})
    assert found[2]["rules"] == [{"match": "true", "path": "/a"}]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (0.5, "500ms"),
        (5, "5s"),
        (1.25, "1.25s"),
        (60, "1m0s"),
        (3600, "1h0m0s"),
        (3725.5, "1h2m5.5s"),
    ],
)
def test_durations_as_go_prints_them(seconds: float, text: str) -> None:
    """A duration has no units above its largest, and all below."""
    assert go_duration(seconds) == text
