"""The thread pool of plain ``def`` handlers."""

import asyncio
import logging
import threading

import pytest

from daprflow import DaprFlow
from daprflow.handlers.pool import WAITING_PER_THREAD, HandlerPool, PoolFull
from tests.helpers.app_calls import Caller, recording_client, running


class Gate:
    """Holds plain handlers until it is opened, and says when one has started."""

    def __init__(self) -> None:
        self.started = threading.Semaphore(0)
        self.open = threading.Event()

    def pass_through(self) -> None:
        """Say that a thread arrived and wait."""
        self.started.release()
        assert self.open.wait(30)


def blocking(gate: Gate, threads: int = 1) -> DaprFlow:
    """An app whose plain handlers wait at the gate."""
    app = DaprFlow("shop", threads=threads)

    @app.topic("pubsub", "orders")
    def on_order(data: bytes) -> None:
        gate.pass_through()

    @app.invoke
    def quote() -> int:
        gate.pass_through()
        return 1

    @app.binding("in")
    def on_in() -> None:
        gate.pass_through()

    return app


async def fill(call: Caller, gate: Gate, count: int) -> list[asyncio.Task[object]]:
    """Start deliveries until a thread is busy and the others wait."""
    tasks: list[asyncio.Task[object]] = [
        asyncio.create_task(call.deliver("x")) for _ in range(count)
    ]
    await asyncio.to_thread(gate.started.acquire)
    return tasks


@pytest.mark.row("FA-19")
async def test_a_full_pool_refuses_instead_of_waiting(caplog: pytest.LogCaptureFixture) -> None:
    """Events are answered RETRY, other calls 503, with one line in the log."""
    gate = Gate()
    async with running(blocking(gate)) as call:
        tasks = await fill(call, gate, 1 + WAITING_PER_THREAD)
        caplog.set_level(logging.WARNING)
        caplog.clear()
        event, invoked, bound = (
            await call.deliver("x"),
            await call.post("/quote"),
            await call.post("/in"),
        )
        gate.open.set()
        answers = await asyncio.gather(*tasks)
        again = await call.deliver("x")
    assert (event.status, event.verdict) == (200, "RETRY")
    assert (invoked.status, bound.status) == (503, 503)
    assert [record.getMessage()[:34] for record in caplog.records] == [
        "all 1 threads for plain 'def' hand"
    ]
    assert {getattr(answer, "verdict", "") for answer in answers} == {"SUCCESS"}
    assert again.verdict == "SUCCESS"


@pytest.mark.row("FA-19")
async def test_health_and_async_handlers_do_not_share_the_pool() -> None:
    """While every thread is busy the app is alive, ready and deaf to nothing but ``def``."""
    gate = Gate()
    app = blocking(gate)
    app.client, _ = recording_client()

    @app.invoke
    async def quick() -> int:
        return 2

    async with running(app) as call:
        tasks = await fill(call, gate, 1 + WAITING_PER_THREAD)
        assert (await call.get("/healthz")).status == 200
        assert (await call.get("/readyz")).status == 200
        assert (await call.post("/quick")).body == b"2"
        gate.open.set()
        await asyncio.gather(*tasks)


async def test_a_cancelled_call_keeps_its_thread_counted() -> None:
    """The thread runs on after its caller gave up, so its place is not given away."""
    pool, gate = HandlerPool(1), Gate()
    pool.open()
    task = asyncio.create_task(pool.run(gate.pass_through))
    await asyncio.to_thread(gate.started.acquire)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    waiting = [asyncio.create_task(pool.run(int)) for _ in range(WAITING_PER_THREAD)]
    await asyncio.wait(waiting, timeout=0)
    with pytest.raises(PoolFull):
        await pool.run(int)
    gate.open.set()
    assert await asyncio.gather(*waiting) == [0] * WAITING_PER_THREAD
    pool.close()


async def test_stop_iteration_does_not_hang() -> None:
    """A future cannot hold StopIteration; the call fails instead of never ending."""
    pool = HandlerPool(1)
    pool.open()
    with pytest.raises(RuntimeError, match="StopIteration"):
        await pool.run(next, iter(()))
    pool.close()


async def test_a_closed_pool_refuses() -> None:
    """Outside the app's lifespan no thread is there."""
    pool = HandlerPool(1)
    with pytest.raises(RuntimeError, match="not running"):
        await pool.run(int)
    pool.open()
    pool.close()
    pool.close()
    with pytest.raises(RuntimeError, match="not running"):
        await pool.run(int)


async def test_a_plain_function_may_hand_back_a_coroutine() -> None:
    """A decorator that forgets to be async still works."""
    app = DaprFlow("shop")

    async def inner(data: bytes) -> int:
        return len(data)

    def outer(data: bytes) -> int:
        return inner(data)  # type: ignore[return-value]  # the point

    app.invoke(outer)
    async with running(app) as call:
        assert (await call.post("/outer", b"xyz")).body == b"3"


async def test_arguments_reach_the_function() -> None:
    """Positional and keyword arguments are passed on."""
    pool = HandlerPool(1)
    pool.open()
    assert await pool.run(int, "ff", base=16) == 255
    pool.close()
