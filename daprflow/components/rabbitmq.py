"""RabbitMQ, as a broker and as a binding."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, ClassVar, Literal

from daprflow.components.kinds import Binding, PubSub
from daprflow.components.model import Key
from daprflow.components.values import Secret, Text


@dataclass(frozen=True, kw_only=True)
class RabbitMQPubSub(PubSub):
    """RabbitMQ as a broker (``pubsub.rabbitmq``).

    Attributes:
        connection_string: ``amqp://user:password@host:5672``; or the four fields that follow.
        hostname: of the server.
        protocol: Dapr's default is ``amqp``.
        username: for the server.
        password: for the server.
        ca_cert: PEM text of the authority.
        client_cert: PEM text of the client's certificate.
        client_key: PEM text of its key.
        sasl_external: whether the certificate says who the client is.
        consumer_id: a part of the queues' names; the app's id by default.
        durable: whether queues outlive the server; not by default.
        deleted_when_unused: whether queues go with their last consumer; they do by default.
        delivery_mode: 2 for messages that outlive the server; Dapr's default is 0.
        auto_ack: whether messages count as handled once they are delivered.
        requeue_in_failure: whether a failed message goes back to its queue.
        prefetch_count: messages on their way; Dapr's default of 0 is any number.
        concurrency: Dapr's default is ``parallel``.
        publisher_confirm: whether publishing waits for the server's word; not by default.
        enable_dead_letter: whether what cannot be handled goes to a dead-letter queue.
        max_len: how many messages a queue holds.
        max_len_bytes: how many bytes.
        exchange_kind: Dapr's default is ``fanout``.
        ttl: how long messages are kept (``ttlInSeconds``); for ever by default.
        reconnect_wait: between attempts to connect (``reconnectWaitSeconds``); Dapr's default is
            3 s.
        client_name: of the connection.
        heart_beat: of the connection; Dapr's default is 10 s.

    Example:
        ```python
        app.component(
            RabbitMQPubSub("pubsub", connection_string=secret("vault", "amqp")), env="prod"
        )
        ```
    """

    TYPE: ClassVar[str] = "pubsub.rabbitmq"

    connection_string: Secret | None = None
    hostname: Text | None = None
    protocol: Literal["amqp", "amqps"] | None = None
    username: Text | None = None
    password: Secret | None = None
    ca_cert: Text | None = None
    client_cert: Text | None = None
    client_key: Secret | None = None
    sasl_external: bool | None = None
    consumer_id: Annotated[str | None, Key("consumerID")] = None
    durable: bool | None = None
    deleted_when_unused: bool | None = None
    delivery_mode: int | None = None
    auto_ack: bool | None = None
    requeue_in_failure: bool | None = None
    prefetch_count: int | None = None
    concurrency: Literal["parallel", "single"] | None = None
    publisher_confirm: bool | None = None
    enable_dead_letter: bool | None = None
    max_len: int | None = None
    max_len_bytes: int | None = None
    exchange_kind: Literal["fanout", "topic", "direct", "headers"] | None = None
    ttl: Annotated[timedelta | None, Key("ttlInSeconds", "s")] = None
    reconnect_wait: Annotated[timedelta | None, Key("reconnectWaitSeconds", "s")] = None
    client_name: str | None = None
    heart_beat: timedelta | None = None

    def problems(self) -> Iterator[str]:
        """Yield what does not fit together."""
        if (self.connection_string is None) == (self.hostname is None):
            yield "it needs either 'connection_string' or 'hostname'"
        if self.sasl_external:
            yield from self.lacking("'sasl_external'", "ca_cert", "client_cert", "client_key")


@dataclass(frozen=True, kw_only=True)
class RabbitMQBinding(Binding):
    """A queue of RabbitMQ as a binding (``bindings.rabbitmq``).

    Attributes:
        host: ``amqp://user:password@host:5672``.
        queue_name: of the queue.
        durable: whether it outlives the server; not by default.
        delete_when_unused: whether it goes with its last consumer; not by default.
        ttl: how long messages are kept; for ever by default.
        prefetch_count: messages on their way; Dapr's default of 0 is any number.
        exclusive: whether it belongs to one connection.
        max_priority: of messages; a queue without priorities by default.
        content_type: of messages; Dapr's default is ``text/plain``.
        reconnect_wait: between attempts to connect (``reconnectWaitInSeconds``); Dapr's default is
            5 s.
        ca_cert: PEM text of the authority.
        client_cert: PEM text of the client's certificate.
        client_key: PEM text of its key.
        external_sasl: whether the certificate says who the client is.

    Example:
        ```python
        app.component(RabbitMQBinding("mails", host=secret("vault", "amqp"), queue_name="mails"))
        ```
    """

    TYPE: ClassVar[str] = "bindings.rabbitmq"

    host: Secret
    queue_name: str
    durable: bool | None = None
    delete_when_unused: bool | None = None
    ttl: timedelta | None = None
    prefetch_count: int | None = None
    exclusive: bool | None = None
    max_priority: int | None = None
    content_type: str | None = None
    reconnect_wait: Annotated[timedelta | None, Key("reconnectWaitInSeconds", "s")] = None
    ca_cert: Text | None = None
    client_cert: Text | None = None
    client_key: Secret | None = None
    external_sasl: bool | None = None

    def problems(self) -> Iterator[str]:
        """Yield what does not fit together."""
        if self.external_sasl:
            yield from self.lacking("'external_sasl'", "ca_cert", "client_cert", "client_key")
