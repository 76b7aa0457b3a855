"""The worker's stream: it comes again however it ended, and nothing is left of the old one."""

import asyncio
import contextlib
import gc
import itertools
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest

from daprflow.client.backoff import SOON
from daprflow.protocol import workflow_messages as wf
from daprflow.settings import Settings
from daprflow.transports import grpc as transport
from daprflow.transports.grpc_endpoint import parse
from daprflow.transports.grpc_work import TaskHub
from daprflow.workflows.options import WorkflowSettings
from daprflow.workflows.worker import Worker
from tests.helpers.gate import gate_to
from tests.helpers.scripted_hub import scripted_hub
from tests.helpers.timing import eventually

ENDS = (
    None,
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.UNIMPLEMENTED,
    None,
)
AGAIN = 6
CYCLES = 1000
SLACK = 20
"""Tasks and files of streams that are just beginning or ending."""
WITHIN = 60.0


class Ways:
    """Channels to wherever the sidecar is."""

    token = ""

    def __init__(self, port: int) -> None:
        self.port = port
        self._opened: dict[int, transport.Channel] = {}

    async def to_work(self) -> transport.Channel:
        """Return the channel to the sidecar as it is now."""
        if self.port not in self._opened:
            endpoint = parse(f"127.0.0.1:{self.port}")
            self._opened[self.port] = transport.open_channel(endpoint, Settings())
        return self._opened[self.port]

    async def close(self) -> None:
        """Close all of them."""
        for each in self._opened.values():
            await each.close()


class Taken:
    """Collects items."""

    def __init__(self) -> None:
        self.items: list[str] = []

    def take(self, item: Any, _hub: TaskHub, _reset: Any, /) -> None:
        """Keep the name of an activity."""
        if item.HasField("activityRequest"):
            self.items.append(item.activityRequest.name)

    async def drain(self, _seconds: float, /) -> None:
        """Have nothing left to do."""


def at_once(_: float) -> Iterator[float]:
    """Give no time between attempts."""
    return itertools.repeat(0.0)


@contextlib.asynccontextmanager
async def working(
    ways: Ways, taken: Taken, pauses: Callable[[float], Iterator[float]] = at_once
) -> AsyncIterator[Worker]:
    """Run a worker."""
    worker = Worker(ways, taken, WorkflowSettings(), pauses)
    worker.start()
    try:
        yield worker
    finally:
        await worker.stop()
        await ways.close()


def item(name: str) -> wf.WorkItem:
    """Return an activity to be done."""
    return wf.WorkItem(activityRequest=wf.ActivityRequest(name=name))


@pytest.mark.row("FA-03")
async def test_work_comes_again_however_the_stream_ended() -> None:
    """A plain end and every status are followed by another stream, on which work comes."""
    taken = Taken()
    async with scripted_hub(ENDS) as (hub, port), working(Ways(port), taken) as worker:
        hub.items.put_nowait(item("late"))
        await eventually(lambda: taken.items == ["late"])
        assert hub.opened == len(ENDS) + 1
        assert worker.connected.is_set()


async def test_streams_that_end_at_once_are_no_work(caplog: pytest.LogCaptureFixture) -> None:
    """A runtime without placement opens streams and ends them: the app is told of work once,
    not ready in between, until an item comes.
    """
    caplog.set_level(logging.INFO, "daprflow.workflows.worker")
    taken, told = Taken(), "work for workflows comes from the sidecar"
    async with scripted_hub([None] * 20) as (hub, port), working(Ways(port), taken) as worker:
        await eventually(lambda: hub.opened > 3)
        assert not worker.connected.is_set()
        assert caplog.text.count(told) == 1
        await eventually(lambda: hub.opened > 20, WITHIN)
        hub.items.put_nowait(item("late"))
        await eventually(lambda: taken.items == ["late"])
        assert worker.connected.is_set()
    assert caplog.text.count(told) == 2
    assert len([each for each in caplog.records if each.levelno == logging.WARNING]) == 1


@pytest.mark.row("FA-03")
async def test_work_comes_again_after_the_connection_broke() -> None:
    """A connection that is reset, and one that is refused for a while, end nothing for good."""
    taken = Taken()
    async with (
        scripted_hub() as (hub, port),
        gate_to("127.0.0.1", port) as gate,
        working(Ways(gate.port), taken) as worker,
    ):
        await eventually(lambda: hub.opened == 1)
        await gate.cut()
        await eventually(lambda: not worker.connected.is_set())
        await gate.open()
        await asyncio.wait_for(worker.connected.wait(), WITHIN)
        await eventually(lambda: hub.opened == 2)


async def test_a_sidecar_that_went_away_again_and_again_is_looked_for_as_soon() -> None:
    """Streams that end with their connection, however young they are, make no pause longer: it
    may be back for good the next time, and within a second work is to come.
    """

    def pauses(longest: float) -> Iterator[float]:
        return itertools.repeat(0.0 if longest == SOON else 2 * WITHIN)

    async with (
        scripted_hub() as (hub, port),
        gate_to("127.0.0.1", port) as gate,
        working(Ways(gate.port), Taken(), pauses),
    ):
        for number in range(1, AGAIN):
            await eventually(partial(hub.was_opened, number), WITHIN)
            await gate.cut()
            await gate.open()
        await eventually(partial(hub.was_opened, AGAIN), WITHIN)


@pytest.mark.row("FA-04")
async def test_a_silent_connection_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection on which nothing comes through any more shows by its pings."""
    monkeypatch.setattr(transport, "KEEPALIVE", 100)
    monkeypatch.setattr(transport, "PONG", 100)
    taken = Taken()
    async with (
        scripted_hub() as (hub, port),
        gate_to("127.0.0.1", port) as gate,
        working(Ways(gate.port), taken) as worker,
    ):
        await eventually(lambda: hub.opened == 1)
        gate.silence()
        await eventually(lambda: hub.opened == 2, WITHIN)
        await asyncio.wait_for(worker.connected.wait(), WITHIN)


async def test_the_sidecar_may_move() -> None:
    """A sidecar that comes back elsewhere is found there."""
    taken = Taken()
    async with contextlib.AsyncExitStack() as stack:
        async with scripted_hub() as (_, first):
            ways = Ways(first)
            worker = await stack.enter_async_context(working(ways, taken))
            await worker.connected.wait()
        await eventually(lambda: not worker.connected.is_set())
        second, ways.port = await stack.enter_async_context(scripted_hub())
        second.items.put_nowait(item("there"))
        await eventually(lambda: taken.items == ["there"])


async def test_a_thousand_streams_leave_nothing_behind() -> None:
    """However often the stream comes and goes, tasks, files and objects stay as many."""
    taken = Taken()
    ends = [None] * (CYCLES + 100)
    async with scripted_hub(ends) as (hub, port), working(Ways(port), taken) as worker:
        await eventually(lambda: hub.opened >= 100, WITHIN)
        gc.collect()
        before = footprint()
        await eventually(lambda: hub.opened > CYCLES + 100, WITHIN)
        await worker.connected.wait()
        gc.collect()
        after = footprint()
    assert after[0] <= before[0] + SLACK
    assert after[1] <= before[1] + SLACK
    assert after[2] <= before[2] + CYCLES // 2


def footprint() -> tuple[int, int, int]:
    """Return how many tasks, open files and objects there are."""
    return (
        len(asyncio.all_tasks()),
        len(list(Path("/proc/self/fd").iterdir())),
        len(gc.get_objects()),
    )
