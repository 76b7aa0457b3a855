"""Stores that can be searched, in the place of those whose real counterparts can."""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing

from daprflow.protocol.queries import Query
from daprflow.sidecar.components.base import ComponentContext, FoundState, StoredValue
from daprflow.sidecar.components.state_in_memory import InMemoryState
from daprflow.sidecar.components.state_query import search
from daprflow.sidecar.components.state_sqlite import SqliteState

QUERYING: Mapping[str, tuple[str, ...]] = {
    "state.azure.cosmosdb": ("ETAG", "TRANSACTIONAL", "QUERY_API", "TTL", "PARTITION_KEY"),
    "state.cockroachdb": ("ETAG", "TRANSACTIONAL", "TTL", "KEYS_LIKE", "QUERY_API"),
    "state.mongodb": ("ETAG", "TRANSACTIONAL", "QUERY_API", "TTL", "KEYS_LIKE"),
    "state.postgresql": ("ETAG", "TRANSACTIONAL", "TTL", "KEYS_LIKE", "QUERY_API"),
}
"""The types whose real counterparts can be searched, with what those advertise.

Of ``state.postgresql``, also called ``state.postgres``, that is version 1. ``state.redis`` is not
here: it can where its server has the JSON and search modules.
"""

ALIASES: Mapping[str, str] = {"state.postgres": "state.postgresql"}

Items = Iterator[tuple[str, StoredValue]]


class QueryingInMemoryState(InMemoryState):
    """`InMemoryState` that can be searched."""

    def __init__(self, context: ComponentContext) -> None:
        super().__init__(context)
        self.capabilities = _capabilities(context, InMemoryState.capabilities)
        self._partitioned = "PARTITION_KEY" in self.capabilities

    async def query(self, query: Query, metadata: Mapping[str, str], /) -> FoundState:
        """Search everything that is stored."""
        return search(query, _within(self.items(), metadata, partitioned=self._partitioned))


class QueryingSqliteState(SqliteState):
    """`SqliteState` that can be searched; a file is, in a thread, by a connection of its own."""

    def __init__(self, context: ComponentContext) -> None:
        super().__init__(context)
        self.capabilities = _capabilities(context, SqliteState.capabilities)
        self._partitioned = "PARTITION_KEY" in self.capabilities

    async def query(self, query: Query, metadata: Mapping[str, str], /) -> FoundState:
        """Search everything that is stored."""

        def work(connection: sqlite3.Connection) -> FoundState:
            items = self.items(connection)
            return search(query, _within(items, metadata, partitioned=self._partitioned))

        with self.reading() as (reader, path):
            if not path:
                return work(reader)
            return await asyncio.to_thread(_apart, path, work)


def _apart(path: str, work: Callable[[sqlite3.Connection], FoundState]) -> FoundState:
    with closing(sqlite3.connect(path)) as connection:
        return work(connection)


def _capabilities(context: ComponentContext, plain: tuple[str, ...]) -> tuple[str, ...]:
    """Return what the declared type advertises, so far as it is one that can be searched."""
    declared = ALIASES.get(context.type, context.type)
    return QUERYING.get(declared, (*plain, "QUERY_API"))


def _within(items: Items, metadata: Mapping[str, str], *, partitioned: bool) -> Items:
    """Leave ``items`` to one partition; an item's partition is its key unless it was given one."""
    partition = metadata.get("partitionKey") if partitioned else None
    if partition is None:
        return items
    return ((key, stored) for key, stored in items if key == partition)
