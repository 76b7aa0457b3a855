"""Starting and stopping many sidecars; benchmarks/testkit.py does so a thousand times."""

import asyncio
import gc
import random
import threading
from pathlib import Path

import pytest

from daprflow.app import DaprFlow
from daprflow.testing import TestSidecar
from tests.helpers.small_shop import Counter, Order, orders


def held() -> tuple[int, int, int]:
    """Count tasks, threads and open files, sockets among them."""
    gc.collect()
    files = len(list(Path("/proc/self/fd").iterdir()))
    return len(asyncio.all_tasks()), threading.active_count(), files


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="open files are counted in /proc")
async def test_nothing_is_left_behind(app: DaprFlow) -> None:
    """In process and over sockets, in any order, no task, thread, file or port remains."""
    app.actor(Counter)

    @app.topic(orders)
    async def on_order(order: Order) -> None: ...

    kinds = [False, True] * 15
    random.Random(8).shuffle(kinds)  # noqa: S311 - no secret
    before = (0, 0, 0)
    for number, sockets in enumerate([False, True, *kinds]):
        if number == 2:
            before = held()
        async with TestSidecar(app, sockets=sockets, secrets={"vault": {"a": "b"}}) as dapr:
            await dapr.publish(orders, Order("a"))
            await dapr.actor(Counter, "a").add(1)
    assert held() == before


@pytest.mark.parametrize("sockets", [False, True])
async def test_a_start_that_fails_leaves_nothing(app: DaprFlow, sockets: bool) -> None:  # noqa: FBT001 - a case
    """An app that cannot start gives its own error, and everything else is taken down."""

    @app.provide
    async def broken() -> Order:
        raise ConnectionError("no database")

    @app.invoke
    async def any_order(*, order: Order) -> None: ...

    tasks = len(asyncio.all_tasks())
    for _ in range(2):
        with pytest.raises(ConnectionError, match="no database"):
            await TestSidecar(app, sockets=sockets).__aenter__()
    assert len(asyncio.all_tasks()) == tasks
