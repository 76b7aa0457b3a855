"""The places where workflows can be kept, each of them empty, for tests that run in all."""

import contextlib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from daprflow.sidecar.clock import Clock
from daprflow.sidecar.components.base import ComponentContext, StateStore
from daprflow.sidecar.components.state_in_memory import InMemoryState
from daprflow.sidecar.components.state_postgresql import PostgresState
from daprflow.sidecar.components.state_redis import RedisState
from daprflow.sidecar.components.state_sqlite import SqliteState
from tests.helpers.servers import postgres_server, redis_server
from tests.helpers.sidecar import Components

ENGINE = "engine"
HOMES = (ENGINE, "in-memory", "sqlite", "redis", "postgresql")
"""The engine's own tables, and the actor state stores."""


@contextlib.asynccontextmanager
async def workflow_home(kind: str, root: Path, clock: Clock) -> AsyncIterator[StateStore | None]:
    """Give an open state store of a kind; None for the engine's own tables."""
    async with contextlib.AsyncExitStack() as stack:
        if kind == ENGINE:
            yield None
            return
        metadata = await _metadata(kind, root, stack)
        store = _make(kind, _context(kind, root, clock, metadata))
        await store.open()
        stack.push_async_callback(store.close)
        yield store


@contextlib.asynccontextmanager
async def workflow_components(kind: str, root: Path) -> AsyncIterator[Components]:
    """Give the components of a run that keeps its workflows in a state store of a kind."""
    async with contextlib.AsyncExitStack() as stack:
        metadata = {"actorStateStore": "true", **await _metadata(kind, root, stack)}
        version = "/v2" if kind == "postgresql" else ""
        yield {} if kind == ENGINE else {"statestore": (f"state.{kind}{version}", metadata)}


async def _metadata(kind: str, root: Path, stack: contextlib.AsyncExitStack) -> Mapping[str, str]:
    match kind:
        case "sqlite":
            return {"connectionString": str(root / "user-state.db")}
        case "redis":
            return (await stack.enter_async_context(redis_server())).metadata
        case "postgresql":
            return (await stack.enter_async_context(postgres_server())).metadata
    return {}


def _make(kind: str, context: ComponentContext) -> StateStore:
    match kind:
        case "sqlite":
            return SqliteState(context)
        case "redis":
            return RedisState(context)
        case "postgresql":
            return PostgresState(context)
    return InMemoryState(context)


def _context(kind: str, root: Path, clock: Clock, metadata: Mapping[str, str]) -> ComponentContext:
    return ComponentContext(
        name="statestore",
        type=f"state.{kind}",
        version="v2" if kind == "postgresql" else "v1",
        metadata={name.lower(): value for name, value in metadata.items()},
        app_id="app1",
        clock=clock,
        data_dir=None,
        base_dir=root,
    )
