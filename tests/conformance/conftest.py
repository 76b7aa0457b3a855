"""What the conformance rows run against: components alone, and behind a sidecar of some kind.

A kind of sidecar is something that gives an `Exchange` with its HTTP API. The embedded one is the
only kind so far; another one is another entry of `STORE_WAYS` and its like.
"""

import contextlib
import dataclasses
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest

from daprflow.sidecar.clock import SystemClock, VirtualClock
from daprflow.sidecar.components.base import ComponentContext, PubSub, StateStore
from daprflow.sidecar.components.registry import COMPONENTS, versions
from tests.conformance.brokers import Broker, Traits
from tests.conformance.stores import (
    ComponentStore,
    Pass,
    Refused,
    SidecarStore,
    Store,
    StoreTraits,
)
from tests.helpers.components import context
from tests.helpers.servers import Server, postgres_server, redis_server
from tests.helpers.sidecar import in_process_sidecar


@dataclass(frozen=True, slots=True)
class Place:
    """Where a state store keeps its values: what it is made from, and how its time passes."""

    metadata: Mapping[str, str]
    wait: Pass


def own_time(
    metadata: Mapping[str, str],
) -> Callable[[VirtualClock], AbstractAsyncContextManager[Place]]:
    """Return the place of a store that knows no other time than the engine's."""

    @contextlib.asynccontextmanager
    async def place(clock: VirtualClock) -> AsyncIterator[Place]:
        async def wait(seconds: int) -> float:
            clock.move_to(clock.now() + seconds)
            return clock.now()

        yield Place(metadata, wait)

    return place


def server_time(
    server: Callable[[], AbstractAsyncContextManager[Server]],
) -> Callable[[VirtualClock], AbstractAsyncContextManager[Place]]:
    """Return the place of a store on a server, which has its own time."""

    @contextlib.asynccontextmanager
    async def place(_clock: VirtualClock) -> AsyncIterator[Place]:
        async with server() as running:

            async def wait(seconds: int) -> float:
                if seconds:
                    await running.age(seconds)
                return time.time()

            yield Place(running.metadata, wait)

    return place


@dataclass(frozen=True, slots=True)
class StateKind:
    """A type of state store."""

    place: Callable[[VirtualClock], AbstractAsyncContextManager[Place]]
    traits: StoreTraits = field(default_factory=StoreTraits)


ON_REDIS = StoreTraits(
    second_first_write=Refused,
    rolls_back=False,
    keeps_missing_missing=False,
    shows_expiry=False,
    rewrite_ends_ttl=False,
    query_error=b"ERR_STATE_QUERY",
)
STATE: Mapping[str, StateKind] = {
    "state.in-memory": StateKind(own_time({})),
    "state.sqlite": StateKind(own_time({"connectionString": "state.db"})),
    "state.redis": StateKind(server_time(redis_server), ON_REDIS),
    "state.postgresql": StateKind(
        server_time(postgres_server), StoreTraits(second_first_write=Refused)
    ),
}


@pytest.fixture
def clock() -> VirtualClock:
    """A clock that only the test moves."""
    return VirtualClock(1_700_000_000.0)


@contextlib.asynccontextmanager
async def alone(kind: str, root: Path, clock: VirtualClock) -> AsyncIterator[Store]:
    """A state component by itself."""
    async with STATE[kind].place(clock) as place:
        made_from = context(root, clock, kind, **place.metadata)
        component = cast("StateStore", COMPONENTS[kind](made_from))
        await component.open()
        try:
            yield ComponentStore(component, STATE[kind].traits, place.wait)
        finally:
            await component.close()


@contextlib.asynccontextmanager
async def embedded(kind: str, root: Path, clock: VirtualClock) -> AsyncIterator[Store]:
    """A state component behind the HTTP API of an embedded sidecar."""
    async with STATE[kind].place(clock) as place:
        components = {"it": (f"{kind}/{max(versions(kind))}", place.metadata)}
        async with in_process_sidecar(root, components, clock=clock) as sidecar:
            yield SidecarStore(sidecar.exchange, "it", STATE[kind].traits, place.wait)


STORE_WAYS: Mapping[str, Callable[[str, Path, VirtualClock], AbstractAsyncContextManager[Store]]]
STORE_WAYS = {"alone": alone, "embedded": embedded}


def stores(*ways: str) -> list[tuple[str, str]]:
    """Return each state type with each of the ways to reach it."""
    return [(kind, way) for kind in STATE for way in ways]


def label(param: tuple[str, str]) -> str:
    """Name a test's parameters."""
    return " ".join(param)


@pytest.fixture(params=stores("alone", "embedded"), ids=label)
async def store(
    request: pytest.FixtureRequest, tmp_path: Path, clock: VirtualClock
) -> AsyncIterator[Store]:
    """A state store, reached in every way."""
    kind, way = request.param
    async with STORE_WAYS[way](kind, tmp_path, clock) as found:
        yield found


@pytest.fixture(params=stores("alone"), ids=label)
async def component_store(
    request: pytest.FixtureRequest, tmp_path: Path, clock: VirtualClock
) -> AsyncIterator[Store]:
    """A state component alone, for what its interface can do and HTTP cannot."""
    kind, way = request.param
    async with STORE_WAYS[way](kind, tmp_path, clock) as found:
        yield found


@pytest.fixture(params=stores("embedded"), ids=label)
async def sidecar_store(
    request: pytest.FixtureRequest, tmp_path: Path, clock: VirtualClock
) -> AsyncIterator[Store]:
    """A state store behind a sidecar's HTTP API, for what that API alone decides."""
    kind, way = request.param
    async with STORE_WAYS[way](kind, tmp_path, clock) as found:
        yield found


@dataclass(frozen=True, slots=True)
class BrokerKind:
    """A broker type, where it keeps its messages, and what it promises."""

    type: str
    durable: bool
    traits: Traits
    server: Callable[[], AbstractAsyncContextManager[Server]] | None = None


FORGETFUL = Traits(redelivers=False, competing=False, keeps_backlog=False, wildcards=True)
KEEPING = Traits(redelivers=True, competing=True, keeps_backlog=True, wildcards=False)
STREAMS = Traits(
    redelivers=False,
    competing=True,
    keeps_backlog=True,
    wildcards=False,
    keeps_content_type=False,
)

BROKERS = {
    "pubsub.in-memory": BrokerKind("pubsub.in-memory", durable=False, traits=FORGETFUL),
    "pubsub.daprflow in memory": BrokerKind("pubsub.daprflow", durable=False, traits=KEEPING),
    "pubsub.daprflow on disk": BrokerKind("pubsub.daprflow", durable=True, traits=KEEPING),
    "pubsub.redis": BrokerKind("pubsub.redis", durable=True, traits=STREAMS, server=redis_server),
}


@contextlib.asynccontextmanager
async def broker_context(
    kind: BrokerKind, root: Path, clock: VirtualClock
) -> AsyncIterator[ComponentContext]:
    """Give what a broker is made from; one on a server lives in real time."""
    if kind.server is not None:
        async with kind.server() as running:
            made_from = context(root, clock, kind.type, **running.metadata)
            yield dataclasses.replace(made_from, clock=SystemClock())
        return
    made_from = context(root, clock, kind.type)
    yield dataclasses.replace(made_from, data_dir=root) if kind.durable else made_from


@contextlib.asynccontextmanager
async def open_broker(kind: BrokerKind, root: Path, clock: VirtualClock) -> AsyncIterator[Broker]:
    """Open a broker; ``reopen`` ends it first."""
    async with broker_context(kind, root, clock) as made_from:
        component = cast("PubSub", COMPONENTS[kind.type](made_from))

        @contextlib.asynccontextmanager
        async def reopen() -> AsyncIterator[PubSub]:
            await component.close()
            again = cast("PubSub", COMPONENTS[kind.type](made_from))
            await again.open()
            yield again
            await again.close()

        await component.open()
        try:
            yield Broker(component, kind.traits, clock, reopen)
        finally:
            await component.close()


@pytest.fixture(params=BROKERS)
async def broker(
    request: pytest.FixtureRequest, tmp_path: Path, clock: VirtualClock
) -> AsyncIterator[Broker]:
    """A broker of each type."""
    async with open_broker(BROKERS[request.param], tmp_path, clock) as found:
        yield found


@pytest.fixture
async def durable_broker(tmp_path: Path, clock: VirtualClock) -> AsyncIterator[Broker]:
    """The built-in broker with a file."""
    async with open_broker(BROKERS["pubsub.daprflow on disk"], tmp_path, clock) as found:
        yield found
