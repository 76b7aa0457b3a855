"""Components that need no server: SQLite, memory, and the built-in durable broker."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, ClassVar

from daprflow.components.kinds import PubSub, StateStore
from daprflow.components.model import Key
from daprflow.components.values import Text


@dataclass(frozen=True, kw_only=True)
class SqliteState(StateStore):
    """State in a SQLite file (``state.sqlite``).

    Attributes:
        connection_string: the path of the file, or SQLite's URL of it.
        timeout: of one request; Dapr's default is 20 s.
        busy_timeout: how long it waits for a lock of the file; Dapr's default is 2 s.
        disable_wal: whether there is no write-ahead log, as network file systems need.
        table_name: of the values; ``state`` by default.
        metadata_table_name: of what the component notes for itself; ``metadata`` by default.
        cleanup_interval: between removals of what has expired; 0, Dapr's default, for never.

    Example:
        ```python
        app.component(SqliteState("statestore", connection_string="shop.db"), env="dev")
        ```
    """

    TYPE: ClassVar[str] = "state.sqlite"

    connection_string: Text
    timeout: timedelta | None = None
    busy_timeout: timedelta | None = None
    disable_wal: Annotated[bool | None, Key("disableWAL")] = None
    table_name: str | None = None
    metadata_table_name: str | None = None
    cleanup_interval: timedelta | None = None


@dataclass(frozen=True, kw_only=True)
class InMemoryState(StateStore):
    """State that lives as long as its sidecar (``state.in-memory``).

    Example:
        ```python
        app.component(InMemoryState("statestore"), env="test")
        ```
    """

    TYPE: ClassVar[str] = "state.in-memory"


@dataclass(frozen=True, kw_only=True)
class InMemoryPubSub(PubSub):
    """A broker within one sidecar, which forgets an event that fails (``pubsub.in-memory``).

    Example:
        ```python
        app.component(InMemoryPubSub("pubsub"), env="test")
        ```
    """

    TYPE: ClassVar[str] = "pubsub.in-memory"


@dataclass(frozen=True, kw_only=True)
class DurablePubSub(PubSub):
    """The durable broker of the embedded sidecar (``pubsub.daprflow``).

    A real runtime has nothing of that type, so it is for environments without one.

    Example:
        ```python
        app.component(DurablePubSub("pubsub"), env="dev")
        ```
    """

    TYPE: ClassVar[str] = "pubsub.daprflow"
