"""Numbers with labels, and the text that Prometheus reads."""

from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from daprflow.protocol import messages
from daprflow.protocol.configuration_file import (
    ConfigurationResource,
    MetricsLabel,
    MetricsRule,
    MetricsSpec,
)
from daprflow.protocol.http import HttpRequest
from daprflow.sidecar.channel.in_process import AsgiChannel
from daprflow.sidecar.http_api.app import HttpApi
from daprflow.sidecar.resources import Resources
from daprflow.sidecar.telemetry.error_codes import category_of
from daprflow.sidecar.telemetry.exposition import exposed
from daprflow.sidecar.telemetry.known_metrics import ACTORS_WAITING, HTTP_LATENCY, STATE
from daprflow.sidecar.telemetry.metrics import MOST_SERIES, Registry
from daprflow.sidecar.telemetry.path_labels import PathLabels
from tests.helpers.grpc_callers import callers, ended


def registry(spec: MetricsSpec | None = None) -> Registry:
    """Return an empty registry."""
    return Registry("shop", "prod", spec or MetricsSpec())


def samples(found: Registry) -> dict[str, list[tuple[dict[str, str], float]]]:
    """Read the text as Prometheus' own library does."""
    read: dict[str, list[tuple[dict[str, str], float]]] = {}
    text = exposed(found).decode()
    families: Any = text_string_to_metric_families(text)
    for family in families:
        for sample in family.samples:
            # That library gives counters a suffix, which Prometheus itself does not.
            name = sample.name if sample.name in text else sample.name.removesuffix("_total")
            read.setdefault(name, []).append((sample.labels, sample.value))
    return read


def test_counts_and_last_values() -> None:
    """Each has the app's id, and where the real one has it, the namespace."""
    found = registry()
    counts, waiting = found.count(STATE[0]), found.count(ACTORS_WAITING)
    counts("store", "get", "true").add()
    counts("store", "get", "true").add()
    waiting("Cart").value = 3
    read = samples(found)
    labels = {"app_id": "shop", "component": "store", "namespace": "prod"}
    labels |= {"operation": "get", "success": "true"}
    assert read["dapr_component_state_count"] == [(labels, 2.0)]
    assert read["dapr_runtime_actor_pending_actor_calls"] == [
        ({"app_id": "shop", "actor_type": "Cart"}, 3.0)
    ]


def test_a_distribution() -> None:
    """A value counts in every bucket that is not below it."""
    found = registry(MetricsSpec(latency_buckets=(1.0, 5.0)))
    cell = found.spread(HTTP_LATENCY)("GET", "/", "200")
    for value in (0.5, 1.0, 3.0, 9.0):
        cell.record(value)
    read = samples(found)
    buckets = read["dapr_http_server_latency_bucket"]
    assert [(labels["le"], count) for labels, count in buckets] == [
        ("1", 2.0),
        ("5", 3.0),
        ("+Inf", 4.0),
    ]
    assert read["dapr_http_server_latency_sum"][0][1] == 13.5
    assert read["dapr_http_server_latency_count"][0][1] == 4.0


def test_what_nobody_recorded_is_left_out() -> None:
    """An empty metric has no line at all."""
    found = registry()
    found.count(STATE[0])
    assert exposed(found) == b""


@pytest.mark.row("S-29")
def test_values_of_labels_are_escaped() -> None:
    """Quotes, backslashes and ends of lines cannot break the text."""
    found = registry()
    found.count(STATE[0])('a"b\\c\nd', "get", "true").add()
    ((labels, _),) = samples(found)["dapr_component_state_count"]
    assert labels["component"] == 'a"b\\c\nd'


def test_rules_replace_parts_of_values() -> None:
    """A rule names a metric with or without its prefix, and patterns with what they become."""
    patterns = (("orders/{id}", "orders/.+"),)
    rule = MetricsRule("dapr_http_server_latency", (MetricsLabel("path", patterns),))
    found = registry(MetricsSpec(rules=(rule,)))
    found.spread(HTTP_LATENCY)("GET", "/orders/12", "200").record(1.0)
    ((labels, _),) = samples(found)["dapr_http_server_latency_count"]
    assert labels["path"] == "/orders/{id}"


@pytest.mark.row("S-29")
def test_values_without_end_count_together() -> None:
    """Whoever makes up label values cannot fill the memory."""
    found = registry()
    family = found.count(STATE[0])
    for number in range(MOST_SERIES + 10):
        family(f"store{number}", "get", "true").add()
    series = samples(found)["dapr_component_state_count"]
    assert len(series) == MOST_SERIES + 1
    assert series[-1][1] == 10.0


@pytest.mark.parametrize(
    ("path", "label"),
    [
        ("/v1.0/state/store/key", "/v1.0/state/store"),
        ("/v1.0/state/store", "/v1.0/state/store"),
        ("/v1.0/secrets/vault/dsn", "/v1.0/secrets/vault"),
        ("/v1.0/actors/Cart/ann/method/add", "/v1.0/actors/Cart/{id}/method"),
        ("/v1.0/actors/Cart/ann", "/v1.0/actors/Cart/ann"),
        ("/actors/Cart/ann/method/add", "actors/Cart/{id}/method/add"),
        ("/v1.0/workflows/dapr/i1", "/v1.0/workflows/dapr/{instanceId}"),
        ("/v1.0/workflows/dapr/checkout/start", "/v1.0/workflows/dapr/checkout/start"),
        ("/v1.0/workflows/dapr/i1/terminate", "/v1.0/workflows/dapr/{instanceId}/terminate"),
        (
            "/v1.0/workflows/dapr/i1/raiseEvent/paid",
            "/v1.0/workflows/dapr/{instanceId}/raiseEvent/{eventName}",
        ),
        ("/v1.0//publish/pubsub/orders", "/v1.0/publish/pubsub/orders"),
        ("/dapr/config", "/dapr/config"),
    ],
)
def test_paths_without_keys_and_ids(path: str, label: str) -> None:
    """The labels are the real runtime's, checked against its code and a running one."""
    assert PathLabels(MetricsSpec()).of(path) == label


def test_paths_that_match_a_pattern() -> None:
    """With low cardinality only patterns count for themselves, also for methods of other apps."""
    spec = MetricsSpec(increased_cardinality=False, path_matching=("/orders/{id}", "/orders"))
    labels = PathLabels(spec)
    assert labels.of("/orders/12") == "/orders/{id}"
    assert labels.of("/orders") == "/orders"
    matched = labels.of("/v1.0/invoke/shop/method/orders/12")
    assert matched == "/v1.0/invoke/{app_id}/method/orders/{id}"
    assert labels.of("/v1.0/state/store/key") == ""


def test_verbs() -> None:
    """Verbs that are none count together, and verbs can be left out."""
    assert PathLabels(MetricsSpec()).method("BREW") == "UNKNOWN"
    assert PathLabels(MetricsSpec(exclude_verbs=True)).method("GET") == ""


@pytest.mark.parametrize(
    ("code", "category"),
    [
        ("ERR_ACTOR_STATE_GET", "actor"),
        ("ERR_INSTANCE_ID_INVALID", "workflow"),
        ("ERR_NOT_SUPPORTED_STATE_OPERATION", "state"),
        ("ERR_CONFIGURATION_GET", "configuration"),
        ("ERR_PERMISSION_DENIED", "secret"),
        ("ERR_PUBLISH_OUTBOX", "pubsub"),
        ("ERR_TOPIC_NAME_EMPTY", "pubsub"),
        ("ERR_DIRECT_INVOKE", "service-invocation"),
        ("ERR_UNLOCK", "lock"),
        ("DAPR_SCHEDULER_GET_JOB", "job"),
        ("ERR_OUTBOUND_HEALTH_NOT_READY", "health"),
        ("ERR_MALFORMED_REQUEST", "common"),
    ],
)
def test_a_code_has_the_category_of_the_real_runtime(code: str, category: str) -> None:
    """Part of the code says it."""
    assert category_of(code) == category


async def test_errors_are_counted_by_their_codes(tmp_path: Path) -> None:
    """On both APIs, with the code of HTTP."""
    found = await after_two_errors(tmp_path, MetricsSpec(record_error_codes=True))
    labels = {"app_id": "shop", "error_code": "ERR_STATE_STORE_NOT_CONFIGURED"}
    assert found["dapr_error_code_total"] == [({**labels, "category": "state"}, 2.0)]


async def test_errors_are_not_counted_unless_that_is_asked_for(tmp_path: Path) -> None:
    """As in the real runtime."""
    assert "dapr_error_code_total" not in await after_two_errors(tmp_path, MetricsSpec())


async def after_two_errors(
    root: Path, spec: MetricsSpec
) -> dict[str, list[tuple[dict[str, str], float]]]:
    """Return the metrics of a sidecar without a state store that was asked for a key twice."""
    files = Resources(configuration=ConfigurationResource(metrics=spec))
    async with callers(root, files, metrics=True, shop=None) as made:
        shop = made["shop"]
        await AsgiChannel(HttpApi(shop.runtime)).send(HttpRequest("GET", "/v1.0/state/none/k"))
        request = messages.GetStateRequest(store_name="none", key="k").SerializeToString()
        await ended(shop.channel.unary_unary("/dapr.proto.runtime.v1.Dapr/GetState")(request))
        assert shop.runtime.telemetry.meters is not None
        return samples(shop.runtime.telemetry.meters.registry)
