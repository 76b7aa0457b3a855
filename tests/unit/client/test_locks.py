"""Locks: one at a time, lost in time, kept when they are renewed."""

import asyncio
import threading
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from daprflow.errors import LockLost, LockTaken, SidecarError
from daprflow.protocol.locks import Unlocked
from tests.helpers.blocks import Blocks, blocks
from tests.helpers.timing import eventually

SHORT = timedelta(seconds=1)
RESOURCE = "lock||app1||r"


@pytest.fixture
async def dapr(tmp_path: Path) -> AsyncIterator[Blocks]:
    """A sidecar with a lock store, and a client of it."""
    async with blocks(tmp_path) as running:
        yield running


def pass_time(dapr: Blocks, seconds: float) -> None:
    """Let time pass in the store."""
    dapr.sidecar.clock.move_to(dapr.sidecar.clock.now() + seconds)


async def test_a_lock_is_held_and_given_back(dapr: Blocks) -> None:
    """Inside the block nobody else gets the lock, afterwards anybody does."""
    async with dapr.client.lock("locks", "r", owner="me") as held:
        assert (held.resource, held.owner) == ("r", "me")
        assert timedelta(seconds=25) < held.remaining < timedelta(seconds=30)
        assert not held.lost
        assert not await dapr.locks.try_lock(RESOURCE, "you", 10)
    assert held.lost
    assert await dapr.locks.try_lock(RESOURCE, "you", 10)


async def test_a_taken_lock_is_refused(dapr: Blocks) -> None:
    """Without time to wait, who comes second is told so at once."""
    await dapr.locks.try_lock(RESOURCE, "you", 10)
    with pytest.raises(LockTaken, match="somebody else has the lock on 'r'"):
        async with dapr.client.lock("locks", "r"):
            pass


async def test_waiting_for_a_lock(dapr: Blocks) -> None:
    """Who waits gets the lock once its holder gives it back."""
    await dapr.locks.try_lock(RESOURCE, "you", 10)

    async def waits() -> str:
        async with dapr.client.lock("locks", "r", wait=timedelta(seconds=10)) as held:
            return held.owner

    waiting = asyncio.create_task(waits())
    await eventually(lambda: dapr.line.sent.count("/v1.0-alpha1/lock/locks") > 1)
    assert not waiting.done()
    await dapr.locks.unlock(RESOURCE, "you")
    assert await waiting


async def test_waiting_ends(dapr: Blocks) -> None:
    """Who waited in vain is told for how long."""
    await dapr.locks.try_lock(RESOURCE, "you", 10)
    with pytest.raises(LockTaken, match=r"had it for 0\.1 s"):
        async with dapr.client.lock("locks", "r", wait=timedelta(seconds=0.1)):
            pass


@pytest.mark.parametrize("renew", [False, True])
async def test_of_64_racers_one_at_a_time_is_inside(dapr: Blocks, renew: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """However many want the lock, never two are in the block, and in the end all have been."""
    inside = most = done = 0

    async def race() -> None:
        nonlocal inside, most, done
        lock = dapr.client.lock("locks", "r", wait=timedelta(seconds=60), renew=renew)
        async with lock:
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0)
            inside -= 1
            done += 1

    await asyncio.gather(*(race() for _ in range(64)))
    assert (most, done) == (1, 64)


@pytest.mark.row("FS-31")
async def test_a_dead_holder_is_succeeded(dapr: Blocks) -> None:
    """The lock of a holder that died is free once it has expired, and not before."""
    await dapr.locks.try_lock(RESOURCE, "dead", 3)
    pass_time(dapr, 2.9)
    with pytest.raises(LockTaken):
        async with dapr.client.lock("locks", "r"):
            pass
    pass_time(dapr, 0.1)
    async with dapr.client.lock("locks", "r") as held:
        assert not held.lost


@pytest.mark.row("FS-31")
async def test_a_block_that_takes_too_long_is_cancelled(dapr: Blocks) -> None:
    """Before the lock expires in the store its block is cancelled, and the loss is an error."""
    lost: list[bool] = []

    async def work() -> None:
        async with dapr.client.lock("locks", "r", expiry=SHORT) as held:
            try:
                await asyncio.sleep(60)
            finally:
                lost.append(held.lost)

    with pytest.raises(LockLost, match="it lasts 1 s"):
        await work()
    assert lost == [True]


async def test_a_loss_while_the_loop_was_blocked(dapr: Blocks) -> None:
    """A block that could not be cancelled learns of the loss at its end."""
    with pytest.raises(LockLost):
        async with dapr.client.lock("locks", "r", expiry=SHORT):
            threading.Event().wait(1)  # blocks the loop, as careless code does


async def test_a_loss_in_the_store(dapr: Blocks) -> None:
    """When the store says that the lock was not there any more, its block learns of it."""
    with pytest.raises(LockLost):
        async with dapr.client.lock("locks", "r"):
            pass_time(dapr, 60)


async def test_the_blocks_own_error_goes_before(dapr: Blocks) -> None:
    """What the block raises is passed on, and the lock is given back."""
    with pytest.raises(KeyError):
        async with dapr.client.lock("locks", "r"):
            raise KeyError
    assert await dapr.locks.try_lock(RESOURCE, "you", 10)


async def test_a_cancelled_holder_gives_the_lock_back(dapr: Blocks) -> None:
    """Cancelling who holds the lock frees it, and looks like nothing but a cancellation."""

    async def hold() -> None:
        async with dapr.client.lock("locks", "r"):
            inside.set()
            await asyncio.sleep(60)

    inside = asyncio.Event()
    holder = asyncio.create_task(hold())
    await inside.wait()
    holder.cancel()
    with pytest.raises(asyncio.CancelledError):
        await holder
    assert await dapr.locks.try_lock(RESOURCE, "you", 10)


async def test_a_sidecar_that_goes_away(dapr: Blocks, caplog: pytest.LogCaptureFixture) -> None:
    """A lock that cannot be given back ends by itself; the work under it was done."""
    async with dapr.client.lock("locks", "r"):
        dapr.line.cut = True
    assert "it ends within 30 s" in caplog.text


async def test_a_client_that_is_closed_first(
    dapr: Blocks, caplog: pytest.LogCaptureFixture
) -> None:
    """What ended the block is not hidden where the client is gone before its lock."""

    async def ended() -> None:
        async with dapr.client.lock("locks", "r"):
            await dapr.client.close()
            raise KeyError

    with pytest.raises(KeyError):
        await ended()
    assert "it ends within 30 s" in caplog.text


async def test_no_sidecar(dapr: Blocks) -> None:
    """Where no sidecar answers there is no lock."""
    dapr.line.cut = True
    with pytest.raises(SidecarError):
        async with dapr.client.lock("locks", "r"):
            pytest.fail("entered without a lock")


async def test_an_unknown_store(dapr: Blocks) -> None:
    """The sidecar's refusal is passed on."""
    with pytest.raises(SidecarError, match="lock store zzz not found"):
        async with dapr.client.lock("zzz", "r"):
            pytest.fail("entered without a lock")


@pytest.mark.parametrize(
    ("store", "resource", "expiry"),
    [("", "r", SHORT), ("locks", "", SHORT), ("locks", "r", timedelta(milliseconds=999))],
)
def test_what_cannot_be(dapr: Blocks, store: str, resource: str, expiry: timedelta) -> None:
    """A lock without a name, or shorter than the runtime can count, is refused where it is made."""
    with pytest.raises(ValueError, match="lock"):
        dapr.client.lock(store, resource, expiry=expiry)


async def test_a_lock_is_used_once(dapr: Blocks) -> None:
    """The same object is not taken twice."""
    lock = dapr.client.lock("locks", "r")
    async with lock:
        pass
    with pytest.raises(RuntimeError, match="taken once"):
        async with lock:
            pass


# ---- renewal


async def test_a_renewed_lock_outlasts_its_expiry(dapr: Blocks) -> None:
    """With renewal the lock is held for longer than it lasts, and nobody gets in meanwhile."""
    loop = asyncio.get_running_loop()
    expiry = timedelta(seconds=1)
    async with dapr.client.lock("locks", "r", expiry=expiry, renew=True) as held:
        end = loop.time() + 2.2
        while loop.time() < end:
            with pytest.raises(LockTaken):
                async with dapr.client.lock("locks", "r", expiry=expiry, renew=True):
                    pytest.fail("two are inside")
            await asyncio.sleep(0.01)
            pass_time(dapr, 0.01)
            assert not held.lost
    for name in (RESOURCE, f"{RESOURCE}#2"):
        assert await dapr.locks.unlock(name, held.owner) is Unlocked.LOCK_DOES_NOT_EXIST


async def test_a_renewal_that_fails(dapr: Blocks) -> None:
    """When the sidecar stays away, the block ends before the lock does."""

    async def work() -> None:
        async with dapr.client.lock("locks", "r", expiry=SHORT, renew=True):
            dapr.line.cut = True
            await asyncio.sleep(60)

    with pytest.raises(LockLost):
        await work()


async def test_a_store_that_forgot(dapr: Blocks) -> None:
    """When the store has lost one of the two, the block ends at the next renewal."""

    async def work() -> None:
        async with dapr.client.lock("locks", "r", expiry=SHORT, renew=True) as held:
            await dapr.locks.unlock(RESOURCE, held.owner)
            await dapr.locks.unlock(f"{RESOURCE}#2", held.owner)
            await asyncio.sleep(60)

    with pytest.raises(LockLost):
        await work()


async def test_half_a_lock_is_given_back(dapr: Blocks) -> None:
    """Who gets the first of the two and not the second leaves none behind."""
    await dapr.locks.try_lock(f"{RESOURCE}#2", "you", 10)
    with pytest.raises(LockTaken):
        async with dapr.client.lock("locks", "r", renew=True):
            pass
    assert await dapr.locks.try_lock(RESOURCE, "me", 10)
