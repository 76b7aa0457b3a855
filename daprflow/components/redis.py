"""Redis, as state store, broker, configuration store and locks."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, ClassVar, Literal

from daprflow.components.kinds import PubSub, StateStore
from daprflow.components.model import Key, Options
from daprflow.components.values import Number, Secret, Text


@dataclass(frozen=True, kw_only=True)
class _Redis(Options):
    """How a server is reached.

    Attributes:
        redis_host: host and port, such as ``redis:6379``; of a cluster or of sentinels several,
            with commas between them.
        redis_port: where ``redis_host`` has none; 6379 by default.
        redis_username: empty by default.
        redis_password: none by default.
        redis_type: one node, which is Dapr's default, or a cluster.
        redis_db: the number of the database; 0 by default. A cluster has none.
        enable_tls: whether connections are encrypted; not by default.
        insecure_skip_tls_verify: whether the server's certificate is not looked at.
        client_cert: PEM text of the client's certificate.
        client_key: PEM text of its key.
        use_entra_id: whether Microsoft Entra ID says who the client is; needs ``enable_tls``.
        failover: whether ``redis_host`` names sentinels.
        sentinel_master_name: of the master that the sentinels know.
        sentinel_username: for the sentinels.
        sentinel_password: for the sentinels.
        redis_max_retries: of one command; none by default.
        redis_min_retry_interval: the shortest pause between them; Dapr's default is 8 ms.
        redis_max_retry_interval: the longest; Dapr's default is 512 ms.
        dial_timeout: of a connection; Dapr's default is 5 s.
        read_timeout: of an answer; Dapr's default is 3 s.
        write_timeout: of a command; that of reading by default.
        pool_size: connections at most; 10 for each processor by default.
        pool_timeout: how long a command waits for a connection.
        max_conn_age: after which a connection is closed; never by default.
        min_idle_conns: connections kept open; none by default.
        idle_check_frequency: of looking for idle connections; Dapr's default is 1 minute.
        idle_timeout: after which those are closed; Dapr's default is 5 minutes.
    """

    redis_host: Text
    redis_port: Number | None = None
    redis_username: Text | None = None
    redis_password: Secret | None = None
    redis_type: Literal["node", "cluster"] | None = None
    redis_db: Annotated[Number | None, Key("redisDB")] = None
    enable_tls: Annotated[bool | None, Key("enableTLS")] = None
    insecure_skip_tls_verify: Annotated[bool | None, Key("insecureSkipTLSVerify")] = None
    client_cert: Text | None = None
    client_key: Secret | None = None
    use_entra_id: Annotated[bool | None, Key("useEntraID")] = None
    failover: bool | None = None
    sentinel_master_name: Text | None = None
    sentinel_username: Text | None = None
    sentinel_password: Secret | None = None
    redis_max_retries: int | None = None
    redis_min_retry_interval: timedelta | None = None
    redis_max_retry_interval: timedelta | None = None
    dial_timeout: timedelta | None = None
    read_timeout: timedelta | None = None
    write_timeout: timedelta | None = None
    pool_size: int | None = None
    pool_timeout: timedelta | None = None
    max_conn_age: timedelta | None = None
    min_idle_conns: int | None = None
    idle_check_frequency: timedelta | None = None
    idle_timeout: timedelta | None = None

    def problems(self) -> Iterator[str]:
        """Yield what does not fit together."""
        if self.failover:
            yield from self.lacking("'failover'", "sentinel_master_name")
        if self.use_entra_id and not self.enable_tls:
            yield "'use_entra_id' needs 'enable_tls'"
        if self.use_entra_id and self.redis_password is not None:
            yield "'use_entra_id' takes the place of 'redis_password'; keep one of them"
        if self.redis_type == "cluster" and self.redis_db:
            yield "a cluster has no databases; leave out 'redis_db'"
        if self.client_cert is not None or self.client_key is not None:
            yield from self.lacking("a client certificate", "client_cert", "client_key")


@dataclass(frozen=True, kw_only=True)
class RedisState(_Redis, StateStore):
    """State in Redis (``state.redis``).

    Attributes:
        ttl: how long values are kept that say nothing of it (``ttlInSeconds``); for ever by
            default.
        query_indexes: JSON text of the indexes that queries go by.

    Example:
        ```python
        app.component(
            RedisState(
                "statestore", redis_host="redis:6379", redis_password=secret("vault", "redis")
            )
        )
        ```
    """

    TYPE: ClassVar[str] = "state.redis"

    ttl: Annotated[timedelta | None, Key("ttlInSeconds", "s")] = None
    query_indexes: str | None = None

    def problems(self) -> Iterator[str]:
        """Yield what does not fit together."""
        yield from _Redis.problems(self)
        yield from StateStore.problems(self)


@dataclass(frozen=True, kw_only=True)
class RedisPubSub(_Redis, PubSub):
    """Redis streams as a broker (``pubsub.redis``).

    Attributes:
        consumer_id: the consumer group; the app's id by default.
        redeliver_interval: between looks for what was not acknowledged; Dapr's default is 60 s.
        processing_timeout: after which that is delivered again; Dapr's default is 15 s.
        queue_depth: messages that wait inside; Dapr's default is 100.
        concurrency: messages at one time; Dapr's default is 10.
        max_len_approx: how many messages a stream keeps, roughly; all by default.
        stream_ttl: how long it keeps them, roughly; for ever by default.

    Example:
        ```python
        app.component(RedisPubSub("pubsub", redis_host="redis:6379"), env="prod")
        ```
    """

    TYPE: ClassVar[str] = "pubsub.redis"

    consumer_id: Annotated[str | None, Key("consumerID")] = None
    redeliver_interval: timedelta | None = None
    processing_timeout: timedelta | None = None
    queue_depth: int | None = None
    concurrency: int | None = None
    max_len_approx: int | None = None
    stream_ttl: Annotated[timedelta | None, Key("streamTTL")] = None


@dataclass(frozen=True, kw_only=True)
class RedisConfiguration(_Redis):
    """Configuration items in Redis (``configuration.redis``).

    Example:
        ```python
        app.component(RedisConfiguration("settings", redis_host="redis:6379"))
        ```
    """

    TYPE: ClassVar[str] = "configuration.redis"


@dataclass(frozen=True, kw_only=True)
class RedisLock(_Redis):
    """Locks in Redis (``lock.redis``).

    Example:
        ```python
        app.component(RedisLock("lockstore", redis_host="redis:6379"))
        ```
    """

    TYPE: ClassVar[str] = "lock.redis"
