from dataclasses import replace

import msgspec
import pytest

from daprflow.components.declarations import Declarations
from daprflow.manifests.secrets import (
    endpoints_for_cluster,
    for_cluster,
    holds_secret,
    plain_secrets,
)
from daprflow.protocol.http_endpoint import HttpEndpointResource
from daprflow.protocol.resources import MetadataItem, SecretKeyRef
from tests.helpers.manifest_models import app, component, settings

CANARY = "canary-9f31"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("redisPassword", CANARY),
        ("saslPassword", CANARY),
        ("clientSecret", CANARY),
        ("accessKey", CANARY),
        ("accountKey", CANARY),
        ("connectionString", f"host=db user=me password={CANARY}"),
        ("connectionString", f"amqp://me:{CANARY}@mq:5672"),
        ("connectionString", f"Endpoint=sb://x/;SharedAccessKey={CANARY}"),
        ("url", f"https://me:{CANARY}@example.org"),
        ("DATABASE_URL", f"postgres://me:{CANARY}@db/x"),
        ("ANYTHING", f"redis://:{CANARY}@cache"),
    ],
)
def test_a_secret_in_plain_text_is_refused_by_name(name: str, value: str) -> None:
    """The line names file, entry and component, and never the value."""
    (problem,) = plain_secrets([component("store", "state.redis", **{name: value})], [], [])
    assert problem.startswith(f"here:1: '{name}' of component 'store'")
    assert CANARY not in problem


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("redisHost", "cache:6379"),
        ("redisPassword", ""),
        ("connectionString", "host=db user=me sslmode=verify-full"),
        ("connectionString", "orders.db"),
        ("oidcTokenEndpoint", "https://login.example.org"),
        ("enableTLS", "true"),
        ("schedule", "@every 15m"),
        ("keyPrefix", "name"),
    ],
)
def test_what_is_no_secret_passes(name: str, value: str) -> None:
    """An address, a name, or a connection string without a login is no secret."""
    assert not holds_secret(name, value)


def test_a_reference_passes() -> None:
    """What lies in a secret store is referred to."""
    given = component("store", "state.redis", redisPassword=SecretKeyRef("redis", "password"))
    assert plain_secrets([given], [], []) == []


def test_what_code_calls_plain_passes() -> None:
    """A declaration was checked where it was made: ``Plain`` says that everybody may read it."""
    given = component("store", "state.redis", redisPassword="everybody")
    own = app()
    facts = msgspec.structs.replace(own.facts, declarations=Declarations(components=(given,)))
    assert plain_secrets([given], [], [replace(own, facts=facts)]) == []


def test_headers_and_logins_of_endpoints_are_looked_at() -> None:
    """An endpoint's authorization and the login in its URL are secrets as well."""
    given = HttpEndpointResource(
        "rates",
        f"https://me:{CANARY}@rates.example.org",
        (MetadataItem("Authorization", CANARY), MetadataItem("Accept", "text/plain")),
        source="e:1",
    )
    problems = plain_secrets([], [given], [])
    assert len(problems) == 2
    assert all("'rates'" in each and CANARY not in each for each in problems)


def test_variables_are_looked_at() -> None:
    """A token among an app's variables is refused, with what to write instead."""
    given = settings(variables={"API_TOKEN": CANARY, "GREETING": "hello"})
    (problem,) = plain_secrets([], [], [app(given=given)])
    assert "'API_TOKEN' of app 'shop'" in problem
    assert "secret =" in problem
    assert CANARY not in problem


def test_stores_of_a_developers_machine_are_left_out() -> None:
    """What refers to one refers to the cluster's own; stores that a cluster can have stay."""
    local = component("files", "secretstores.local.file", secretsFile="secrets.json")
    vault = component("vault", "secretstores.hashicorp.vault", vaultAddr="https://vault:8200")
    one, two, three = (
        msgspec.structs.replace(
            component(name, "state.redis", redisPassword=SecretKeyRef("r", "p")), secret_store=store
        )
        for name, store in (("one", "files"), ("two", "vault"), ("three", ""))
    )
    found = {each.name: each for each in for_cluster([local, vault, one, two, three], "mine")}
    assert sorted(found) == ["one", "three", "two", "vault"]
    assert [found[name].secret_store for name in ("one", "two", "three")] == [
        "mine",
        "vault",
        "mine",
    ]
    endpoints = [
        HttpEndpointResource(each, "https://x", secret_store=each) for each in ("files", "v")
    ]
    moved = endpoints_for_cluster(endpoints, [local, vault], "mine")
    assert [each.secret_store for each in moved] == ["mine", "v"]
