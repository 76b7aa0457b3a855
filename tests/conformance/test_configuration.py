"""The C- rows of configuration stores, for every component that is one.

Another component is one more entry of `KINDS`: how it is opened, and how its items are changed
from outside.
"""

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, cast

import pytest

from daprflow.sidecar.clock import VirtualClock
from daprflow.sidecar.components.base import (
    ConfigurationStore,
    ConfigurationValue,
    EditableConfiguration,
)
from daprflow.sidecar.components.registry import COMPONENTS
from tests.helpers.components import context
from tests.helpers.servers import RedisServer, redis_server
from tests.helpers.timing import eventually

Stop = Callable[[], Awaitable[None]]


class Editor(Protocol):
    """Changes items as their owner would, past the sidecar."""

    async def put(self, key: str, value: str, version: str, /) -> None:
        """Set one item."""
        ...

    async def remove(self, key: str, /) -> object:
        """Remove one item."""
        ...


@dataclass(frozen=True, slots=True)
class Store:
    """A store under test."""

    component: ConfigurationStore
    editor: Editor

    async def get(self, *keys: str) -> dict[str, ConfigurationValue]:
        """Read items."""
        return await self.component.get(keys, {})

    async def subscribe(self, subscriber: "Subscriber", *keys: str) -> Stop:
        """Subscribe to some items, or to all."""
        return await self.component.subscribe(keys, {}, subscriber.changed)


@dataclass(slots=True)
class Subscriber:
    """Keeps what it was told, in order."""

    told: list[tuple[str, str, str]] = field(default_factory=list)

    def changed(self, items: Mapping[str, ConfigurationValue]) -> Awaitable[None]:
        """Take one change."""
        self.told += [(key, item.value, item.version) for key, item in items.items()]
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done

    async def got(self, *expected: tuple[str, str, str]) -> None:
        """Wait until it was told ``expected`` since last asked, in any order of keys."""
        await eventually(lambda: len(self.told) >= len(expected))
        told, self.told = self.told, []
        assert sorted(told) == sorted(expected)


Open = Callable[[Path], AbstractAsyncContextManager[Store]]


def local(*, durable: bool) -> Open:
    """Return how the built-in store is opened."""

    @contextlib.asynccontextmanager
    async def opened(root: Path) -> AsyncIterator[Store]:
        kind = "configuration.daprflow"
        made_from = context(root, VirtualClock(), kind)
        if durable:
            made_from = dataclasses.replace(made_from, data_dir=root)
        component = cast("EditableConfiguration", COMPONENTS[kind](made_from))
        await component.open()
        try:
            yield Store(component, component)
        finally:
            await component.close()

    return opened


@dataclass(frozen=True, slots=True)
class RedisEditor:
    """Changes keys of a Redis server."""

    server: RedisServer

    async def put(self, key: str, value: str, version: str, /) -> None:
        """Set one item in the form that the store reads."""
        await self.server.client.set(key, f"{value}||{version}" if version else value)

    async def remove(self, key: str, /) -> object:
        """Remove one item."""
        return await self.server.client.delete(key)


@contextlib.asynccontextmanager
async def on_redis(root: Path) -> AsyncIterator[Store]:
    """Open the store on a Redis server."""
    async with redis_server() as server:
        made_from = context(root, VirtualClock(), "configuration.redis", **server.metadata)
        component = cast("ConfigurationStore", COMPONENTS["configuration.redis"](made_from))
        await component.open()
        try:
            yield Store(component, RedisEditor(server))
        finally:
            await component.close()


KINDS: Mapping[str, Open] = {
    "configuration.daprflow in memory": local(durable=False),
    "configuration.daprflow on disk": local(durable=True),
    "configuration.redis": on_redis,
}
DURABLE = ("configuration.daprflow on disk",)
"""Those that keep items when they are closed."""


@pytest.fixture(params=KINDS)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """A store of each kind, empty."""
    async with KINDS[request.param](tmp_path) as found:
        yield found


async def fill(store: Store, keys: Sequence[str]) -> None:
    """Set items whose value is their key."""
    for key in keys:
        await store.editor.put(key, f"value of {key}", "1")


async def test_get_by_keys(store: Store) -> None:
    """C-CO-01: the items that were asked for come back, with their versions."""
    await fill(store, ["a", "b", "c"])
    assert await store.get("a", "c") == {
        "a": ConfigurationValue("value of a", "1"),
        "c": ConfigurationValue("value of c", "1"),
    }


async def test_get_without_keys(store: Store) -> None:
    """C-CO-01: no keys ask for every item."""
    assert await store.get() == {}
    await fill(store, ["a", "b"])
    assert set(await store.get()) == {"a", "b"}


async def test_get_unknown_keys(store: Store) -> None:
    """C-CO-01: unknown keys are left out and are no error."""
    await fill(store, ["a"])
    assert await store.get("x", "y") == {}
    assert set(await store.get("x", "a")) == {"a"}


async def test_a_version_is_optional(store: Store) -> None:
    """C-CO-01: an item without a version has an empty one."""
    await store.editor.put("a", "plain", "")
    assert await store.get("a") == {"a": ConfigurationValue("plain")}


@pytest.mark.parametrize("value", ['{"daily": 1}', "a|b", "grüße", " space ", "x" * 100_000])
async def test_values_come_back_as_they_are(store: Store, value: str) -> None:
    """C-CO-01: any text is kept."""
    await store.editor.put("a/b c", value, "2")
    assert await store.get("a/b c") == {"a/b c": ConfigurationValue(value, "2")}


async def test_changes_reach_those_who_asked(store: Store) -> None:
    """C-CO-02: an update reaches exactly the subscribers whose list has the key."""
    await fill(store, ["a", "b"])
    one, both, everything = Subscriber(), Subscriber(), Subscriber()
    await store.subscribe(one, "a")
    await store.subscribe(both, "a", "b")
    await store.subscribe(everything)
    await store.editor.put("a", "new a", "2")
    for subscriber in (one, both, everything):
        await subscriber.got(("a", "new a", "2"))
    await store.editor.put("b", "new b", "2")
    for subscriber in (both, everything):
        await subscriber.got(("b", "new b", "2"))
    assert one.told == []


async def test_new_keys_reach_those_who_asked_for_all(store: Store) -> None:
    """C-CO-02: an item that is new reaches only the subscriber to all."""
    one, everything = Subscriber(), Subscriber()
    await store.subscribe(one, "a")
    await store.subscribe(everything)
    await store.editor.put("new", "value", "1")
    await everything.got(("new", "value", "1"))
    assert one.told == []


async def test_deleted_items(store: Store) -> None:
    """C-CO-03: subscribers of a deleted item get it with an empty value."""
    await fill(store, ["a"])
    subscriber = Subscriber()
    await store.subscribe(subscriber, "a")
    await store.editor.remove("a")
    await subscriber.got(("a", "", ""))
    assert await store.get("a") == {}


@pytest.mark.parametrize("ended", [0, 1, 2])
async def test_unsubscribed(store: Store, ended: int) -> None:
    """C-CO-04: who unsubscribed gets nothing more, and the others go on."""
    subscribers = [Subscriber(), Subscriber(), Subscriber()]
    keys: list[tuple[str, ...]] = [("a",), ("a", "b"), ()]
    stops = [
        await store.subscribe(each, *some) for each, some in zip(subscribers, keys, strict=True)
    ]
    await stops[ended]()
    await store.editor.put("a", "new", "1")
    for number, subscriber in enumerate(subscribers):
        if number != ended:
            await subscriber.got(("a", "new", "1"))
    assert subscribers[ended].told == []


@pytest.mark.parametrize("kind", DURABLE)
async def test_items_are_kept(kind: str, tmp_path: Path) -> None:
    """C-CO-05: an item is there after the store was closed and opened again."""
    async with KINDS[kind](tmp_path) as store:
        await store.editor.put("a", "kept", "7")
    async with KINDS[kind](tmp_path) as store:
        assert await store.get() == {"a": ConfigurationValue("kept", "7")}
