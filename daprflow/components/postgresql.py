"""PostgreSQL, as state store, configuration store and binding."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, ClassVar, Literal

from daprflow.components.kinds import Binding, StateStore
from daprflow.components.model import Key, Options
from daprflow.components.values import Number, Secret, Text

QueryExecMode = Literal[
    "cache_statement", "cache_describe", "describe_exec", "exec", "simple_protocol"
]


@dataclass(frozen=True, kw_only=True)
class _Postgres(Options):
    """How a server is reached: by a connection string, or by its parts.

    Attributes:
        connection_string: ``host=… user=… password=… database=…``, or a URL.
        host: of the server; fields take the place of what the connection string says.
        hostaddr: its address.
        port: 5432 by default.
        database: its name.
        user: for the server.
        password: for the server.
        ssl_root_cert: the path of the authority's certificate.
        use_azure_ad: whether Microsoft Entra ID says who the client is.
        use_aws_iam: whether AWS IAM does.
        timeout: of an operation; Dapr's default is 20 s.
        max_conns: connections at most; the driver's number by default.
        connection_max_idle_time: after which idle connections are closed; never by default.
        query_exec_mode: how statements are sent; connection poolers may need another than the
            driver's own.
    """

    connection_string: Secret | None = None
    host: Text | None = None
    hostaddr: Text | None = None
    port: Number | None = None
    database: Text | None = None
    user: Text | None = None
    password: Secret | None = None
    ssl_root_cert: str | None = None
    use_azure_ad: Annotated[bool | None, Key("useAzureAD")] = None
    use_aws_iam: Annotated[bool | None, Key("useAWSIAM")] = None
    timeout: timedelta | None = None
    max_conns: int | None = None
    connection_max_idle_time: timedelta | None = None
    query_exec_mode: QueryExecMode | None = None

    def problems(self) -> Iterator[str]:
        """Yield what does not fit together."""
        if self.connection_string is None and self.host is None and self.hostaddr is None:
            yield "it needs a 'connection_string' or a 'host'"
        if self.use_azure_ad and self.use_aws_iam:
            yield "'use_azure_ad' and 'use_aws_iam' exclude each other"
        if (self.use_azure_ad or self.use_aws_iam) and self.password is not None:
            yield "a 'password' has no use beside 'use_azure_ad' or 'use_aws_iam'"


@dataclass(frozen=True, kw_only=True)
class PostgresState(_Postgres, StateStore):
    """State in PostgreSQL (``state.postgresql``), by default of ``version="v2"``.

    Attributes:
        version: ``v2``, or ``v1`` for tables of older Dapr releases.
        table_prefix: what the tables' names begin with; of ``v2``.
        table_name: of the values; of ``v1``, whose default is ``state``.
        metadata_table_name: of what the component notes for itself; Dapr's default is
            ``dapr_metadata``.
        cleanup_interval: between removals of what has expired; Dapr's default is 1 hour.

    Example:
        ```python
        app.component(
            PostgresState("statestore", connection_string=secret("vault", "dsn")), env="prod"
        )
        ```
    """

    TYPE: ClassVar[str] = "state.postgresql"

    version: Literal["v1", "v2"] = "v2"
    table_prefix: str | None = None
    table_name: str | None = None
    metadata_table_name: str | None = None
    cleanup_interval: timedelta | None = None

    def problems(self) -> Iterator[str]:
        """Yield what does not fit together."""
        yield from _Postgres.problems(self)
        yield from StateStore.problems(self)
        if self.version not in {"v1", "v2"}:
            yield f"'version' takes 'v1' or 'v2', not '{self.version}'"
        elif self.version == "v2" and self.table_name is not None:
            yield "'table_name' is of version 'v1'; 'v2' has 'table_prefix'"
        elif self.version == "v1" and self.table_prefix is not None:
            yield "'table_prefix' is of version 'v2'; 'v1' has 'table_name'"


@dataclass(frozen=True, kw_only=True)
class PostgresConfiguration(_Postgres):
    """Configuration items in PostgreSQL (``configuration.postgresql``).

    Attributes:
        table: of the items.
        notify_channel: on which changes are told.

    Example:
        ```python
        app.component(
            PostgresConfiguration(
                "settings", connection_string=secret("vault", "dsn"), table="items"
            )
        )
        ```
    """

    TYPE: ClassVar[str] = "configuration.postgresql"

    table: str
    notify_channel: str | None = None


@dataclass(frozen=True, kw_only=True)
class PostgresBinding(_Postgres, Binding):
    """Statements for PostgreSQL as a binding (``bindings.postgresql``).

    Example:
        ```python
        app.component(PostgresBinding("db", connection_string=secret("vault", "dsn")))
        ```
    """

    TYPE: ClassVar[str] = "bindings.postgresql"
