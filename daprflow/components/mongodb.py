"""MongoDB, as state store."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, ClassVar, Literal

from daprflow.components.kinds import StateStore
from daprflow.components.model import Key
from daprflow.components.values import Secret, Text


@dataclass(frozen=True, kw_only=True)
class MongoState(StateStore):
    """State in MongoDB (``state.mongodb``).

    Attributes:
        connection_string: ``mongodb://…``; or a host, or a server, and what follows.
        host: address of the server.
        server: a name whose DNS records (SRV) say where the servers are.
        username: for the server.
        password: for the server.
        params: further parameters of the connection, such as ``?authSource=daprStore``.
        database_name: Dapr's default is ``daprStore``.
        collection_name: Dapr's default is ``daprCollection``.
        write_concern: what counts as written, such as ``majority``.
        read_concern: what may be read.
        operation_timeout: Dapr's default is 5 s.

    Example:
        ```python
        app.component(MongoState("statestore", host="mongo:27017"), env="prod")
        ```
    """

    TYPE: ClassVar[str] = "state.mongodb"

    connection_string: Secret | None = None
    host: Text | None = None
    server: Text | None = None
    username: Text | None = None
    password: Secret | None = None
    params: str | None = None
    database_name: str | None = None
    collection_name: str | None = None
    write_concern: Annotated[str | None, Key("writeconcern")] = None
    read_concern: Annotated[
        Literal["available", "local", "linearizable", "majority", "snapshot"] | None,
        Key("readconcern"),
    ] = None
    operation_timeout: timedelta | None = None

    def problems(self) -> Iterator[str]:
        """Yield what does not fit together."""
        yield from StateStore.problems(self)
        given = [each for each in (self.connection_string, self.host, self.server) if each]
        if len(given) != 1:
            yield "it needs one of 'connection_string', 'host' and 'server'"
        if self.username is not None or self.password is not None:
            yield from self.lacking("a login", "username", "password")
