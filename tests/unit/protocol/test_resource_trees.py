from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from daprflow.protocol.configuration_file import (
    AccessControl,
    AccessOperation,
    AccessPolicy,
    ApiLogging,
    ApiRule,
    ConfigurationResource,
    MetricsLabel,
    MetricsRule,
    MetricsSpec,
    NamedLimit,
    OtelSpec,
    SecretScope,
    TracingSpec,
    WorkflowConfiguration,
    WorkflowRetention,
)
from daprflow.protocol.configuration_tree import configuration_spec
from daprflow.protocol.documents import BulkSubscribe, Routes, Rule, Subscription
from daprflow.protocol.http_endpoint import ClientTls, HttpEndpointResource
from daprflow.protocol.resiliency import (
    ActorTarget,
    AppTarget,
    BreakerSpec,
    CodeRange,
    ComponentTarget,
    PolicyNames,
    ResiliencyResource,
    RetrySpec,
)
from daprflow.protocol.resource_trees import (
    component_tree,
    endpoint_tree,
    resiliency_tree,
    subscription_tree,
)
from daprflow.protocol.resources import ComponentResource, MetadataItem, SecretKeyRef
from daprflow.protocol.subscription_resource import SubscriptionResource
from daprflow.sidecar.configuration_document import load_configuration
from daprflow.sidecar.resource_yaml import read_document
from daprflow.sidecar.resources import READERS
from tests.helpers.manifest_checks import check_dapr

COMPONENT = ComponentResource(
    "store",
    "state.redis",
    "v1",
    (
        MetadataItem("redisHost", "r:6379"),
        MetadataItem("redisPassword", secret_key_ref=SecretKeyRef("r", "password")),
        MetadataItem("redisUsername", secret_key_ref=SecretKeyRef("user")),
        MetadataItem("redisDB", env_ref="REDIS_DB"),
        MetadataItem("empty", ""),
    ),
    scopes=("a", "b"),
    ignore_errors=True,
    init_timeout=90.0,
    secret_store="vault",
    namespace="orders",
)
SUBSCRIPTION = SubscriptionResource(
    "orders",
    Subscription(
        "pubsub",
        "orders",
        routes=Routes((Rule("/vip", 'event.type == "vip"'),), "/orders"),
        dead_letter_topic="dead",
        metadata={"rawPayload": "true"},
        bulk_subscribe=BulkSubscribe(enabled=True, max_messages_count=5, max_await_duration_ms=9),
    ),
    ("a",),
)
RESILIENCY = ResiliencyResource(
    "shop",
    ("a",),
    {"short": 0.5, "long": 3600.0},
    {
        "flat": RetrySpec(duration=2.0, max_retries=3),
        "grows": RetrySpec(
            exponential=True,
            max_interval=30.0,
            http_codes=(CodeRange(429, 429), CodeRange(500, 599)),
            grpc_codes=(CodeRange(14, 14),),
        ),
    },
    {"cb": BreakerSpec(2, 8.0, 45.0, "consecutiveFailures > 3"), "plain": BreakerSpec()},
    {"pricing": AppTarget(PolicyNames("short", "flat", "cb"), 7)},
    {"Cart": ActorTarget(PolicyNames("long", "", "cb"), "both", 9)},
    {"store": ComponentTarget(PolicyNames("", "grows"), PolicyNames("short"))},
)
ENDPOINT = HttpEndpointResource(
    "rates",
    "https://rates.example.org/v1",
    (MetadataItem("Accept", "text/plain"), MetadataItem("X", secret_key_ref=SecretKeyRef("x"))),
    ClientTls(MetadataItem("clientTLS.rootCA", "PEM")),
    ("a",),
    "vault",
)
CONFIGURATION = ConfigurationResource(
    api_allowed=(ApiRule("state", "v1.0", "http"),),
    api_denied=(ApiRule("invoke", "v1", "grpc"),),
    features=(("ActorStateTTL", True),),
    secret_scopes=(SecretScope("vault", "deny", ("a",), ("b",)),),
    access_control=AccessControl(
        "deny",
        "public",
        (
            AccessPolicy(
                "checkout",
                "default",
                "public",
                "deny",
                (AccessOperation("/total", "allow", ("POST",)),),
            ),
        ),
    ),
    denied_components=("state.etcd",),
    workflow=WorkflowConfiguration(
        3, 4, WorkflowRetention(60.0, None, 5.0), (NamedLimit("w", 1),), (NamedLimit("a", 2),)
    ),
    tracing=TracingSpec("0.5", stdout=True, otel=OtelSpec("c:4317", "grpc", timeout=3.0)),
    metrics=MetricsSpec(
        latency_buckets=(5.0, 10.0),
        increased_cardinality=False,
        path_matching=("/a",),
        rules=(MetricsRule("m", (MetricsLabel("l", (("x", "y"),)),)),),
    ),
    api_logging=ApiLogging(enabled=True, obfuscate_urls=True),
)


@pytest.mark.parametrize(
    ("resource", "tree"),
    [
        (COMPONENT, component_tree(COMPONENT)),
        (SUBSCRIPTION, subscription_tree(SUBSCRIPTION)),
        (RESILIENCY, resiliency_tree(RESILIENCY)),
        (ENDPOINT, endpoint_tree(ENDPOINT)),
    ],
    ids=lambda value: str(value.get("kind")) if isinstance(value, dict) else "",
)
def test_what_is_written_reads_as_it_was(resource: Any, tree: dict[str, Any]) -> None:
    """A resource comes back from its document, which the schema of its kind allows."""
    document = read_document(yaml.safe_dump(dict(tree)), Path("x.yaml"), 1)
    assert document is not None
    found = READERS[tree["kind"]](document)
    assert msgspec.structs.replace(found, source="") == resource  # type: ignore[type-var]
    check_dapr(yaml.safe_load(yaml.safe_dump(dict(tree))))


def test_a_configuration_reads_as_it_was(tmp_path: Path) -> None:
    """What code says of a sidecar comes back from a file."""
    tree = {
        "apiVersion": "dapr.io/v1alpha1",
        "kind": "Configuration",
        "metadata": {"name": "x"},
        "spec": configuration_spec(CONFIGURATION),
    }
    file = tmp_path / "configuration.yaml"
    file.write_text(yaml.safe_dump(tree))
    assert load_configuration([file], {}) == CONFIGURATION
    check_dapr(tree)


def test_nothing_said_is_nothing_written() -> None:
    """A Configuration that is as everywhere has an empty spec."""
    assert configuration_spec(ConfigurationResource()) == {}
