"""Models of components: their fields become the metadata that Dapr knows, and are checked."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from daprflow import AppDefinitionError, DaprFlow
from daprflow.components import (
    AzureKeyVault,
    Component,
    Cron,
    HashicorpVault,
    HttpBinding,
    KafkaBinding,
    KafkaPubSub,
    MongoState,
    Plain,
    PostgresState,
    RabbitMQPubSub,
    RedisPubSub,
    RedisState,
    SqliteState,
    env_ref,
    secret,
)
from daprflow.components.entries import names_secret
from daprflow.components.model import Options
from daprflow.protocol.resources import ComponentResource, MetadataItem, SecretKeyRef


def declared(component: Options) -> ComponentResource:
    """What an app has that declares a component."""
    app = DaprFlow("shop")
    app.component(component)
    (resource,) = app.declared().components
    return resource


def refused(component: Any) -> str:
    """What an app is told that declares a component."""
    app = DaprFlow("shop")
    app.component(component)
    with pytest.raises(AppDefinitionError) as caught:
        app.freeze()
    (problem,) = caught.value.problems
    return problem


def test_fields_become_metadata_under_the_names_of_dapr() -> None:
    """Numbers, truth values, durations, lists and scopes are written as Dapr reads them."""
    resource = declared(
        KafkaPubSub(
            "events",
            brokers=("a:9092", "b:9092"),
            auth_type="none",
            disable_tls=True,
            kafka_version="3.6.0",
            max_message_bytes=2048,
            session_timeout=timedelta(seconds=90),
            publishing_scopes={"shop": ("orders", "receipts"), "audit": ()},
            scopes=("shop",),
            ignore_errors=True,
            init_timeout=timedelta(seconds=20),
            metadata={"useAvroJSON": True},
        )
    )
    assert {each.name: each.value for each in resource.metadata} == {
        "publishingScopes": "shop=orders,receipts;audit=",
        "brokers": "a:9092,b:9092",
        "authType": "none",
        "disableTls": "true",
        "version": "3.6.0",
        "maxMessageBytes": "2048",
        "sessionTimeout": "1m30s",
        "useAvroJSON": "true",
    }
    assert (resource.type, resource.version) == ("pubsub.kafka", "v1")
    assert (resource.scopes, resource.ignore_errors) == (("shop",), True)
    assert resource.init_timeout == 20.0
    assert resource.source.startswith(__name__)


def test_durations_are_written_in_the_unit_of_their_entry() -> None:
    """Where Dapr takes a number of seconds, it gets one."""
    resource = declared(RedisState("s", redis_host="r:6379", ttl=timedelta(minutes=2)))
    assert resource.metadata[1] == MetadataItem("ttlInSeconds", "120")


def test_references_stay_references() -> None:
    """A component names its secret store once; a variable is named, a plain secret stands there."""
    resource = declared(
        RedisPubSub(
            "pubsub",
            redis_host=env_ref("REDIS_HOST"),
            redis_password=secret("vault", "redis", "password"),
            sentinel_password=Plain("dev"),
        )
    )
    assert resource.secret_store == "vault"
    assert resource.metadata == (
        MetadataItem("redisHost", env_ref="REDIS_HOST"),
        MetadataItem("redisPassword", secret_key_ref=SecretKeyRef("redis", "password")),
        MetadataItem("sentinelPassword", "dev"),
    )


def test_a_plain_secret_shows_itself_nowhere() -> None:
    """What a model prints of it is that there is one."""
    assert "hunter2" not in repr(RedisState("s", redis_host="r", redis_password=Plain("hunter2")))


def test_any_other_type_takes_its_metadata_as_they_are() -> None:
    """A component without a model of its own has a type and metadata."""
    resource = declared(Component("etcd", "state.etcd", metadata={"endpoints": "e:2379", "n": 3}))
    assert resource.type == "state.etcd"
    assert {each.name: each.value for each in resource.metadata} == {
        "endpoints": "e:2379",
        "n": "3",
    }


PLAIN = "holds a secret and takes no plain text; refer to one with secret('store', 'name')"
WRONG: dict[str, tuple[Callable[[], Any], str]] = {
    "a plain secret": (
        lambda: RedisState("s", redis_host="r", redis_password="hunter2"),  # type: ignore[arg-type]
        f"'redis_password' {PLAIN}",
    ),
    "a plain secret among metadata": (
        lambda: Component("s", "state.x", metadata={"connectionString": "host=x password=hunter2"}),
        f"metadata 'connectionString' {PLAIN}",
    ),
    "a wrong type": (
        lambda: RedisState("s", redis_host="r", redis_db="3"),  # type: ignore[arg-type]
        "'redis_db' takes int or EnvRef, not '3'",
    ),
    "a wrong word": (
        lambda: KafkaPubSub("s", brokers="b", auth_type="passwrd"),  # type: ignore[arg-type]
        "'auth_type' takes 'none' or 'password' or 'mtls'",
    ),
    "a truth value for a number": (
        lambda: RedisPubSub("s", redis_host="r", queue_depth=True),
        "'queue_depth' takes int, not a value of type 'bool'",
    ),
    "a field among metadata": (
        lambda: RedisState("s", redis_host="r", metadata={"redishost": "x"}),
        "'metadata' has 'redishost', which is the field 'redis_host'",
    ),
    "two secret stores": (
        lambda: RedisState(
            "s", redis_host=secret("a", "x"), redis_password=secret("b", "y"),
        ),
        "its secrets come from 'a', 'b'; a component has one secret store",
    ),
    "a name that is no path segment": (
        lambda: SqliteState("a/b", connection_string="x"),
        "its name must be a text that can be a part of a path",
    ),
    "a type without a block": (lambda: Component("x", "redis"), "its type must be such as"),
    "kafka without a login": (
        lambda: KafkaPubSub("s", brokers="b", auth_type="password", sasl_username="me"),
        "auth_type 'password' needs 'sasl_password'",
    ),
    "kafka without certificates": (
        lambda: KafkaPubSub("s", brokers="b", auth_type="mtls"),
        "auth_type 'mtls' needs 'ca_cert' and 'client_cert' and 'client_key'",
    ),
    "a binding for nothing": (
        lambda: KafkaBinding("s", brokers="b", auth_type="none"),
        "it needs 'topics' to take events from, or a 'publish_topic' to write to",
    ),
    "redis sentinels without a master": (
        lambda: RedisState("s", redis_host="r", failover=True),
        "'failover' needs 'sentinel_master_name'",
    ),
    "rabbit without an address": (
        lambda: RabbitMQPubSub("s"), "it needs either 'connection_string' or 'hostname'",
    ),
    "postgres without an address": (
        lambda: PostgresState("s"), "it needs a 'connection_string' or a 'host'",
    ),
    "a table of another version": (
        lambda: PostgresState("s", host="h", table_name="t"), "'table_name' is of version 'v1'",
    ),
    "mongo with two addresses": (
        lambda: MongoState("s", host="h", server="s"),
        "it needs one of 'connection_string', 'host' and 'server'",
    ),
    "a vault without a token": (
        lambda: HashicorpVault("s"), "it needs either 'vault_token' or 'vault_token_mount_path'",
    ),
    "an application without an id": (
        lambda: AzureKeyVault("s", vault_name="v", azure_client_secret=env_ref("X")),
        "an application needs 'azure_tenant_id' and 'azure_client_id'",
    ),
    "a schedule that is none": (lambda: Cron("s", schedule="sometimes"), "schedule 'sometimes'"),
    "a token without a header": (
        lambda: HttpBinding("s", url="http://x", security_token=env_ref("X")),
        "'security_token' needs 'security_token_header'",
    ),
    "an outbox without a topic": (
        lambda: SqliteState("s", connection_string="x", outbox_publish_topic="t"),
        "the outbox needs 'outbox_publish_pubsub'",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_a_mistake_is_told_with_its_place(case: str) -> None:
    """Each says which component, where, what is wrong; a secret is not repeated."""
    make, text = WRONG[case]
    problem = refused(make())
    assert text in problem
    assert f"({__name__}:" in problem
    assert "hunter2" not in problem


def test_what_is_no_model_is_refused() -> None:
    """A component is declared by a model."""
    assert "takes a model of daprflow.components, not a value of type 'dict'" in refused({})


def test_all_mistakes_of_an_app_are_told_together() -> None:
    """Those of handlers, too."""
    app = DaprFlow("shop")
    app.component(RabbitMQPubSub("a"))
    app.component(Cron("b", schedule="never"), env="prod")

    @app.topic("pubsub", "orders")
    def undecodable(order: "Missing") -> None:  # type: ignore[name-defined]  # noqa: F821
        pass

    with pytest.raises(AppDefinitionError) as caught:
        app.freeze()
    assert len(caught.value.problems) == 3


@pytest.mark.parametrize(
    ("name", "secretive"),
    [
        ("redisPassword", True),
        ("connectionString", True),
        ("accountKey", True),
        ("primaryEncryptionKey", True),
        ("sasToken", True),
        ("vaultTokenMountPath", False),
        ("oidcTokenEndpoint", False),
        ("secretStore", False),
        ("keyPrefix", False),
        ("sharedAccessKeyName", False),
    ],
)
def test_names_tell_what_holds_a_secret(name: str, *, secretive: bool) -> None:
    """An entry of any component is asked about by its name."""
    assert names_secret(name) is secretive
