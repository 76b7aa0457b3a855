"""The C- rows of lock stores, for every component that is one.

Another component is one more entry of `KINDS`: how it is opened, and how its time is moved.
"""

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest

from daprflow.protocol.locks import Unlocked
from daprflow.sidecar.clock import VirtualClock
from daprflow.sidecar.components.base import LockStore
from daprflow.sidecar.components.registry import COMPONENTS
from tests.helpers.components import context
from tests.helpers.servers import redis_server


@dataclass(frozen=True, slots=True)
class Locks:
    """A lock store under test; ``pass_time`` lets that many seconds pass in it."""

    component: LockStore
    pass_time: Callable[[float], Awaitable[None]]


Open = Callable[[Path], AbstractAsyncContextManager[Locks]]


def local(*, durable: bool) -> Open:
    """Return how the built-in store is opened."""

    @contextlib.asynccontextmanager
    async def opened(root: Path) -> AsyncIterator[Locks]:
        clock = VirtualClock(1_700_000_000.0)
        made_from = context(root, clock, "lock.daprflow")
        if durable:
            made_from = dataclasses.replace(made_from, data_dir=root)
        component = cast("LockStore", COMPONENTS["lock.daprflow"](made_from))

        async def pass_time(seconds: float) -> None:
            clock.move_to(clock.now() + seconds)

        await component.open()
        try:
            yield Locks(component, pass_time)
        finally:
            await component.close()

    return opened


@contextlib.asynccontextmanager
async def on_redis(root: Path) -> AsyncIterator[Locks]:
    """Open the store on a Redis server, whose time is brought forward key by key."""
    async with redis_server() as server:
        made_from = context(root, VirtualClock(), "lock.redis", **server.metadata)
        component = cast("LockStore", COMPONENTS["lock.redis"](made_from))

        async def pass_time(seconds: float) -> None:
            await server.age(seconds)

        await component.open()
        try:
            yield Locks(component, pass_time)
        finally:
            await component.close()


KINDS: Mapping[str, Open] = {
    "lock.daprflow in memory": local(durable=False),
    "lock.daprflow on disk": local(durable=True),
    "lock.redis": on_redis,
}
DURABLE = ("lock.daprflow on disk",)
"""Those that keep locks when they are closed."""


@pytest.fixture(params=KINDS)
async def locks(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Locks]:
    """A store of each kind, without locks."""
    async with KINDS[request.param](tmp_path) as found:
        yield found


async def test_a_free_lock_is_taken(locks: Locks) -> None:
    """C-LO-01: a lock that nobody has is given."""
    assert await locks.component.try_lock("r", "me", 10)
    assert await locks.component.try_lock("another", "you", 10)


async def test_a_held_lock_is_refused(locks: Locks) -> None:
    """C-LO-02: a lock that somebody has is given to nobody, its owner included."""
    assert await locks.component.try_lock("r", "me", 10)
    assert not await locks.component.try_lock("r", "you", 10)
    assert not await locks.component.try_lock("r", "me", 10)


async def test_unlocking(locks: Locks) -> None:
    """C-LO-03: each outcome of unlocking is a result, none an error."""
    component = locks.component
    assert await component.unlock("r", "me") is Unlocked.LOCK_DOES_NOT_EXIST
    await component.try_lock("r", "me", 10)
    assert await component.unlock("r", "you") is Unlocked.LOCK_BELONGS_TO_OTHERS
    assert await component.unlock("r", "me") is Unlocked.SUCCESS
    assert await component.unlock("r", "me") is Unlocked.LOCK_DOES_NOT_EXIST
    assert await component.try_lock("r", "you", 10)


async def test_a_lock_expires(locks: Locks) -> None:
    """C-LO-04: a lock can be taken again once its time is over, and not before."""
    component = locks.component
    assert await component.try_lock("r", "me", 3)
    await locks.pass_time(2.5)
    assert not await component.try_lock("r", "you", 3)
    await locks.pass_time(0.5)
    assert await component.try_lock("r", "you", 3)


@pytest.mark.row("FS-31")
async def test_an_expired_lock_is_not_there(locks: Locks) -> None:
    """C-LO-04: a holder that died leaves a lock that ends, and nobody can unlock it then."""
    await locks.component.try_lock("r", "me", 3)
    await locks.pass_time(3)
    assert await locks.component.unlock("r", "me") is Unlocked.LOCK_DOES_NOT_EXIST


async def test_one_of_many_gets_it(locks: Locks) -> None:
    """Of 64 that try at the same time exactly one gets the lock."""
    tries = [locks.component.try_lock("r", f"owner {number}", 10) for number in range(64)]
    assert sum(await asyncio.gather(*tries)) == 1


@pytest.mark.parametrize("kind", DURABLE)
async def test_locks_are_kept(kind: str, tmp_path: Path) -> None:
    """A lock outlives its store's process, and is still its owner's."""
    async with KINDS[kind](tmp_path) as locks:
        await locks.component.try_lock("r", "me", 10)
    async with KINDS[kind](tmp_path) as locks:
        assert not await locks.component.try_lock("r", "you", 10)
        assert await locks.component.unlock("r", "me") is Unlocked.SUCCESS
