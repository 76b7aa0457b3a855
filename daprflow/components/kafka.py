"""Apache Kafka, as a broker and as a binding."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, ClassVar, Literal

from daprflow.components.kinds import Binding, PubSub
from daprflow.components.model import Key, Options
from daprflow.components.values import Secret, Text

AuthType = Literal["none", "password", "mtls", "oidc", "oidc_private_key_jwt", "awsiam"]
SaslMechanism = Literal["PLAINTEXT", "SHA-256", "SHA-512"]
Compression = Literal["none", "gzip", "snappy", "lz4", "zstd"]
_NEEDED: Mapping[str, tuple[str, ...]] = {
    "password": ("sasl_username", "sasl_password"),
    "mtls": ("ca_cert", "client_cert", "client_key"),
    "oidc": ("oidc_token_endpoint", "oidc_client_id", "oidc_client_secret"),
    "oidc_private_key_jwt": (
        "oidc_token_endpoint",
        "oidc_client_id",
        "oidc_client_assertion_cert",
        "oidc_client_assertion_key",
    ),
    "awsiam": ("region",),
}


@dataclass(frozen=True, kw_only=True)
class _Kafka(Options):
    """How a cluster is reached.

    Attributes:
        brokers: addresses such as ``kafka:9092``, as a tuple or with commas between them.
        auth_type: how clients say who they are.
        sasl_username: for ``password``.
        sasl_password: for ``password``.
        sasl_mechanism: for ``password``; Dapr's default is ``PLAINTEXT``.
        ca_cert: PEM text of the authority; for ``mtls``, and for brokers of no public one.
        client_cert: PEM text; for ``mtls``.
        client_key: PEM text; for ``mtls``.
        oidc_token_endpoint: where tokens are asked for; for both ``oidc`` types.
        oidc_client_id: for both ``oidc`` types.
        oidc_client_secret: for ``oidc``.
        oidc_scopes: what tokens are asked for; Dapr's default is ``openid``.
        oidc_client_assertion_cert: PEM text; for ``oidc_private_key_jwt``.
        oidc_client_assertion_key: PEM text; for ``oidc_private_key_jwt``.
        oidc_audience: of the assertion, for ``oidc_private_key_jwt``.
        region: of AWS; for ``awsiam``.
        access_key: of AWS, where the surroundings give no identity.
        secret_key: of AWS, likewise.
        session_token: of AWS, for credentials that last a while.
        assume_role_arn: the role that has access to the cluster.
        session_name: of the role's session; Dapr's default is ``DaprDefaultSession``.
        disable_tls: whether connections are not encrypted.
        skip_verify: whether the brokers' certificates are not looked at.
        kafka_version: of the cluster (``version``); Dapr's default is ``2.0.0.0``.
        consumer_group: of the consumers; the app's id by default.
        client_id: in the brokers' logs; Dapr's default is ``sarama``.
        initial_offset: where a group without offsets begins; Dapr's default is ``newest``.
        max_message_bytes: of one message; Dapr's default is 1024.
        consume_retry_enabled: whether the component tries failed messages again by itself; off by
            default.
        consume_retry_interval: between those attempts; Dapr's default is 100 ms.
        heartbeat_interval: of the consumers; Dapr's default is 3 s.
        session_timeout: without a heartbeat; Dapr's default is 10 s.
        consumer_group_rebalance_strategy: Dapr's default is ``range``.
        producer_required_acks: what counts as published; Dapr's default is ``all``.
        producer_retry_max: attempts to send a message; Dapr's default is 5.
        compression: of messages; Dapr's default is ``none``.
        escape_headers: whether values of headers are URL-escaped.
        schema_registry_url: where Avro schemas are.
        schema_registry_api_key: for it.
        schema_registry_api_secret: for it.
        dial_timeout: of a connection; Dapr's default is 30 s.
        read_timeout: of an answer; Dapr's default is 30 s.
        write_timeout: of a request; Dapr's default is 30 s.
    """

    brokers: Text | tuple[str, ...]
    auth_type: AuthType
    sasl_username: Text | None = None
    sasl_password: Secret | None = None
    sasl_mechanism: SaslMechanism | None = None
    ca_cert: Text | None = None
    client_cert: Text | None = None
    client_key: Secret | None = None
    oidc_token_endpoint: Text | None = None
    oidc_client_id: Annotated[Text | None, Key("oidcClientID")] = None
    oidc_client_secret: Secret | None = None
    oidc_scopes: tuple[str, ...] | None = None
    oidc_client_assertion_cert: Text | None = None
    oidc_client_assertion_key: Secret | None = None
    oidc_audience: Text | None = None
    region: Text | None = None
    access_key: Secret | None = None
    secret_key: Secret | None = None
    session_token: Secret | None = None
    assume_role_arn: Text | None = None
    session_name: str | None = None
    disable_tls: bool | None = None
    skip_verify: bool | None = None
    kafka_version: Annotated[str | None, Key("version")] = None
    consumer_group: Text | None = None
    client_id: Annotated[Text | None, Key("clientID")] = None
    initial_offset: Literal["newest", "oldest"] | None = None
    max_message_bytes: int | None = None
    consume_retry_enabled: bool | None = None
    consume_retry_interval: timedelta | None = None
    heartbeat_interval: timedelta | None = None
    session_timeout: timedelta | None = None
    consumer_group_rebalance_strategy: Literal["range", "sticky", "roundrobin"] | None = None
    producer_required_acks: Literal["none", "local", "all"] | None = None
    producer_retry_max: int | None = None
    compression: Compression | None = None
    escape_headers: bool | None = None
    schema_registry_url: Annotated[Text | None, Key("schemaRegistryURL")] = None
    schema_registry_api_key: Annotated[Secret | None, Key("schemaRegistryAPIKey")] = None
    schema_registry_api_secret: Annotated[Secret | None, Key("schemaRegistryAPISecret")] = None
    dial_timeout: timedelta | None = None
    read_timeout: timedelta | None = None
    write_timeout: timedelta | None = None

    def problems(self) -> Iterator[str]:
        """Yield what does not fit together."""
        needed = _NEEDED.get(self.auth_type, ())
        yield from self.lacking(f"auth_type '{self.auth_type}'", *needed)
        if self.auth_type != "password" and self.sasl_password is not None:
            yield "'sasl_password' is for auth_type 'password'"
        beat, limit = self.heartbeat_interval, self.session_timeout
        if beat is not None and limit is not None and beat >= limit:
            yield "'heartbeat_interval' must be shorter than 'session_timeout'"


@dataclass(frozen=True, kw_only=True)
class KafkaPubSub(_Kafka, PubSub):
    """Kafka as a broker (``pubsub.kafka``).

    Attributes:
        consumer_id: the consumer group where ``consumer_group`` is not set.
        consumer_fetch_min: bytes that a fetch waits for; Dapr's default is 1.
        consumer_fetch_default: bytes of one fetch; Dapr's default is 1048576.
        channel_buffer_size: events buffered inside; Dapr's default is 256.

    Example:
        ```python
        app.component(KafkaPubSub("pubsub", brokers="kafka:9092", auth_type="none"), env="prod")
        ```
    """

    TYPE: ClassVar[str] = "pubsub.kafka"

    consumer_id: Annotated[str | None, Key("consumerID")] = None
    consumer_fetch_min: int | None = None
    consumer_fetch_default: int | None = None
    channel_buffer_size: int | None = None


@dataclass(frozen=True, kw_only=True)
class KafkaBinding(_Kafka, Binding):
    """Kafka as a binding (``bindings.kafka``).

    Attributes:
        topics: those whose messages come to the app.
        publish_topic: the one that is written to.

    Example:
        ```python
        app.component(
            KafkaBinding("clicks", brokers="kafka:9092", topics=("clicks",), auth_type="none")
        )
        ```
    """

    TYPE: ClassVar[str] = "bindings.kafka"

    topics: tuple[str, ...] | None = None
    publish_topic: str | None = None

    def problems(self) -> Iterator[str]:
        """Yield what does not fit together."""
        yield from _Kafka.problems(self)
        if not self.topics and not self.publish_topic:
            yield "it needs 'topics' to take events from, or a 'publish_topic' to write to"
