from dataclasses import replace
from typing import Any

import pytest

from daprflow.launcher.exits import LaunchError
from daprflow.manifests.endpoints import Endpoint, endpoints_of
from daprflow.manifests.network_policy import network_policy, unknown_addresses
from daprflow.manifests.targets import notes_of
from tests.helpers.manifest_models import app, component, model, settings


def policy(*components: Any, **network: Any) -> dict[str, Any]:
    """Return the rules of an app that has components and settings."""
    own = app(given=settings(network=network))
    spec: dict[str, Any] = dict(network_policy(own, model(own, components=components))["spec"])
    return spec


def spaces(rule: dict[str, Any]) -> list[str]:
    """Return the namespaces of a rule."""
    key = "kubernetes.io/metadata.name"
    return [
        each["namespaceSelector"]["matchLabels"][key]
        for each in rule["to"]
        if each.get("namespaceSelector")
    ]


@pytest.mark.parametrize(
    ("kind", "metadata", "expected"),
    [
        ("state.redis", {"redisHost": "cache:6380"}, [("cache", 6380)]),
        ("state.redis", {"redisHost": "cache"}, [("cache", 6379)]),
        ("pubsub.kafka", {"brokers": "a:9092, b:9093"}, [("a", 9092), ("b", 9093)]),
        ("pubsub.rabbitmq", {"hostname": "mq"}, [("mq", 5672)]),
        ("state.postgresql", {"connectionString": "host=db port=5433 user=me"}, [("db", 5433)]),
        ("state.postgresql", {"connectionString": "postgres://db/orders"}, [("db", 5432)]),
        ("state.mongodb", {"host": "m1:27017,m2:27018"}, [("m1", 27017), ("m2", 27018)]),
        ("secretstores.hashicorp.vault", {"vaultAddr": "https://v:8200"}, [("v", 8200)]),
        ("bindings.http", {"url": "https://api.example.org/x"}, [("api.example.org", 443)]),
        ("pubsub.redis", {"redisHost": "[2001:db8::1]:6379"}, [("2001:db8::1", 6379)]),
        ("state.redis", {"redisHost": "localhost:6379"}, []),
        ("state.redis", {"redisHost": "http://[bad"}, []),
    ],
)
def test_addresses_are_read_from_metadata(
    kind: str, metadata: dict[str, str], expected: list[tuple[str, int]]
) -> None:
    """Hosts, URLs, lists of brokers and connection strings say where a component connects to."""
    found = endpoints_of(component("x", kind, **metadata)).found
    assert found == tuple(Endpoint(*each) for each in expected)


def test_an_app_reaches_what_it_declares_and_nothing_else() -> None:
    """A service in another namespace, an address, and a name outside are told apart."""
    rules = policy(
        component("a", "state.redis", redisHost="cache.data.svc.cluster.local:6379"),
        component("b", "pubsub.kafka", brokers="10.1.2.3:9092"),
        component("e", "pubsub.kafka", brokers="kafka-0.kafka.logs.svc:9093"),
        component("c", "bindings.http", url="https://api.example.org"),
        component("d", "state.mongodb", host="mongo:27017"),
    )["egress"]
    assert [each["port"] for each in rules[0]["ports"]] == [53, 53]
    assert spaces(rules[1]) == ["dapr-system"]
    assert {p["port"] for p in rules[1]["ports"]} == {6500, 50001, 50005, 50006}
    by_port = {rule["ports"][0]["port"]: rule["to"] for rule in rules[3:]}
    assert by_port == {
        6379: [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "data"}}}],
        9092: [{"ipBlock": {"cidr": "10.1.2.3/32"}}],
        9093: [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "logs"}}}],
        443: [{"ipBlock": {"cidr": "0.0.0.0/0"}}, {"ipBlock": {"cidr": "::/0"}}],
        27017: [{"podSelector": {}}],
    }


def test_only_sidecars_reach_a_pod() -> None:
    """Without a word in the settings the app's own port is closed to all but its sidecar."""
    (rule,) = policy()["ingress"]
    assert rule["ports"] == [{"port": 50002, "protocol": "TCP"}]
    assert rule["from"][0]["podSelector"] == {"matchLabels": {"dapr.io/sidecar-injected": "true"}}


def test_settings_open_what_they_name() -> None:
    """An ingress controller, a collector of metrics and further hosts are named in the settings."""
    found = policy(app_from=["web"], metrics_from="monitoring", egress=["10.0.0.0/8:443", ":25"])
    assert [[p["port"] for p in rule["ports"]] for rule in found["ingress"]] == [
        [50002],
        [8000],
        [8000, 9090],
    ]
    peers = [rule["to"] for rule in found["egress"][3:]]
    assert [{"ipBlock": {"cidr": "10.0.0.0/8"}}] in peers
    assert policy(anywhere=True)["egress"] == [{}]


@pytest.mark.parametrize("text", ["host", "host:", "host:99999", "host:x"])
def test_a_wrong_address_in_the_settings_is_told(text: str) -> None:
    """An address without a port cannot be let through."""
    with pytest.raises(LaunchError, match="write 'host:port'"):
        policy(egress=[text])


def test_files_for_a_sidecar_have_no_note_about_networks() -> None:
    """What is said of policies is said where policies are made."""
    own, hidden = app(), component("store", "state.azure.cosmosdb")
    given = model(own, components=(hidden,))
    policies = unknown_addresses(own, given)
    given = replace(given, notes=(*policies, "something else"))
    assert notes_of("kubernetes", given) == (*policies, "something else")
    assert notes_of("components", given) == ("something else",)


def test_a_component_of_unknown_address_is_noted() -> None:
    """Where a component connects to may be a secret; then the settings have to say it."""
    own = app()
    hidden = component("store", "state.azure.cosmosdb")
    (note,) = unknown_addresses(own, model(own, components=(hidden,)))
    assert "'store' (state.azure.cosmosdb)" in note
    assert "network.egress" in note
    told = app(given=settings(network={"egress": [":443"]}))
    assert unknown_addresses(told, model(told, components=(hidden,))) == []
    cron = component("tick", "bindings.cron", schedule="@every 1m")
    assert unknown_addresses(own, model(own, components=(cron,))) == []
