"""Subscription and HTTPEndpoint files: what is read, and where a problem is said to be."""

import logging
from pathlib import Path

import pytest

from daprflow.protocol.documents import BulkSubscribe, Routes, Rule, Subscription
from daprflow.protocol.http_endpoint import ClientTls
from daprflow.protocol.resources import MetadataItem, SecretKeyRef
from daprflow.sidecar.resources import Resources, load_resources

V1 = "apiVersion: dapr.io/v1alpha1\n"
V2 = "apiVersion: dapr.io/v2alpha1\n"


def load(root: Path, text: str, app_id: str = "") -> Resources:
    """Read one file with ``text``."""
    (root / "r.yaml").write_text(text, encoding="utf-8")
    return load_resources([root], app_id)


def subscription(version: str, spec: str, more: str = "") -> str:
    """Return a Subscription document."""
    return f"{version}kind: Subscription\nmetadata: {{name: s}}\nspec: {spec}\n{more}"


def endpoint(spec: str, more: str = "") -> str:
    """Return an HTTPEndpoint document."""
    return f"{V1}kind: HTTPEndpoint\nmetadata: {{name: e}}\nspec: {spec}\n{more}"


@pytest.mark.row("I-SU")
def test_a_subscription_of_the_first_version(tmp_path: Path) -> None:
    """v1alpha1 has one route."""
    text = subscription(V1, "{pubsubname: ps, topic: t, route: /t}", "scopes: [a]\n")
    (found,) = load(tmp_path, text).subscriptions
    assert found.document == Subscription("ps", "t", route="/t")
    assert (found.name, found.scopes, found.source) == ("s", ("a",), f"{tmp_path / 'r.yaml'}:2")
    assert load_resources([tmp_path], "b").subscriptions == ()


@pytest.mark.row("I-SU")
def test_everything_a_subscription_of_the_second_version_says(tmp_path: Path) -> None:
    """v2alpha1 has rules and a default; all other parts are read in both versions."""
    spec = """
  pubsubname: ps
  topic: t
  routes:
    rules:
    - {match: 'event.type == "vip"', path: /vip}
    default: /all
  deadLetterTopic: dead
  metadata: {rawPayload: "true"}
  bulkSubscribe: {enabled: true, maxMessagesCount: 5, maxAwaitDurationMs: 40}"""
    (found,) = load(tmp_path, subscription(V2, spec)).subscriptions
    assert found.document == Subscription(
        "ps",
        "t",
        routes=Routes((Rule("/vip", 'event.type == "vip"'),), "/all"),
        dead_letter_topic="dead",
        metadata={"rawPayload": "true"},
        bulk_subscribe=BulkSubscribe(enabled=True, max_messages_count=5, max_await_duration_ms=40),
    )


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (subscription(V1, "{pubsubname: ps, topic: t}"), 4, "'route' is missing"),
        (subscription(V2, "{pubsubname: ps, routes: {default: /x}}"), 4, "'topic' is missing"),
        (subscription(V2, "{pubsubname: ps, topic: t}"), 4, "needs 'routes'"),
        (subscription(V2, "{pubsubname: ps, topic: t, routes: {}}"), 4, "names no path"),
        (
            subscription(V2, "{pubsubname: p, topic: t, routes: {rules: [{match: '=', path: /}]}}"),
            4,
            "'=' is not a CEL expression",
        ),
        (
            subscription(V1, "{pubsubname: p, topic: t, route: /, bulkSubscribe: {enabled: 1}}"),
            4,
            "'enabled' must be true or false",
        ),
        (
            subscription("apiVersion: dapr.io/v3\n", "{pubsubname: p, topic: t, route: /t}"),
            1,
            "not 'dapr.io/v3'",
        ),
        (f"{V1}kind: Subscription\nspec: {{}}\n", 1, "needs 'metadata'"),
        (endpoint("{}"), 4, "'baseUrl' is missing"),
        (endpoint("{baseUrl: api.example}"), 4, "is no address"),
        (endpoint("{baseUrl: 'http://h', headers: [{value: x}]}"), 4, "'name' is missing"),
        (
            endpoint("{baseUrl: 'http://h', clientTLS: {certificate: {value: x}}}"),
            4,
            "belong together",
        ),
    ],
)
def test_a_mistake_is_named_where_it_stands(
    tmp_path: Path, text: str, line: int, words: str
) -> None:
    """Each mistake is one line with the file and the line."""
    (problem,) = load(tmp_path, text).problems
    assert problem.startswith(f"{tmp_path / 'r.yaml'}:{line}: ")
    assert words in problem


def test_a_name_that_is_taken(tmp_path: Path) -> None:
    """Two subscriptions of one name are a problem that names both places."""
    one = subscription(V1, "{pubsubname: ps, topic: t, route: /t}")
    (problem,) = load(tmp_path, f"{one}---\n{one}").problems
    assert "subscription 's' is defined already at" in problem


def test_everything_an_endpoint_says(tmp_path: Path) -> None:
    """Address, headers and TLS are read; a slash at the end of the address is not kept."""
    spec = """
  baseUrl: https://api.example.org/v1/
  headers:
  - {name: Accept, value: text/plain}
  - {name: Authorization, secretKeyRef: {name: api, key: token}}
  clientTLS:
    rootCA: {value: PEM}"""
    (found,) = load(tmp_path, endpoint(spec, "auth: {secretStore: vault}\n")).http_endpoints
    assert (found.base_url, found.secret_store) == ("https://api.example.org/v1", "vault")
    assert found.headers == (
        MetadataItem("Accept", "text/plain"),
        MetadataItem("Authorization", secret_key_ref=SecretKeyRef("api", "token")),
    )
    assert found.client_tls == ClientTls(root_ca=MetadataItem("clientTLS.rootCA", "PEM"))


def test_a_configuration_among_the_resources(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A Configuration in the folder is left out with a line that says how to name it."""
    text = f"{V1}kind: Configuration\nmetadata: {{name: c}}\nspec: {{}}\n"
    with caplog.at_level(logging.WARNING):
        assert load(tmp_path, text) == Resources()
    assert "--config" in caplog.text
