"""Virtual time in tests, and the bindings that it drives."""

import asyncio
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from daprflow.addresses import Topic
from daprflow.app import DaprFlow
from daprflow.client import Client
from daprflow.handlers.envelopes import BindingEvent
from daprflow.protocol.deliveries import Status
from daprflow.sidecar.clock import VirtualClock
from daprflow.sidecar.engine import Work
from daprflow.testing import TestSidecar
from daprflow.testing.settling import Settling
from tests.helpers.timing import eventually


class Order(msgspec.Struct):
    """A payload."""

    id: str
    total: int = 1


orders = Topic("pubsub", "orders", Order)
receipts = Topic("pubsub", "receipts", str)
SECOND = timedelta(seconds=1)


async def test_crons_fire_when_time_passes(app: DaprFlow) -> None:
    """Each due time is met once, in order, and never without `advance`."""
    ticks = []

    @app.cron("sweep", "@every 15m")
    async def sweep() -> None:
        ticks.append("sweep")

    @app.cron("nightly", "0 0 3 * * *")
    async def nightly() -> None:
        ticks.append("nightly")

    start = datetime(2026, 1, 1, 2, 20).astimezone()
    async with TestSidecar(app, start=start) as dapr:
        assert ticks == []
        await dapr.advance(timedelta(minutes=14))
        assert ticks == []
        await dapr.advance(timedelta(minutes=1))
        assert ticks == ["sweep"]
        await dapr.advance(timedelta(minutes=30))
        assert ticks == ["sweep", "sweep", "nightly", "sweep"]
        assert dapr.now == start + timedelta(minutes=45)


async def test_time_passes_step_by_step(app: DaprFlow) -> None:
    """What a tick causes is done before the next tick, at that tick's time."""
    dapr = TestSidecar(app, start=datetime(2026, 1, 1, tzinfo=UTC))
    seen = []

    @app.cron("tick", "@every 1s")
    async def tick(*, client: Client) -> None:
        seen.append(dapr.now.second)
        await client.publish(receipts, "tick")

    @app.topic(receipts)
    async def on_receipt(receipt: str) -> None:
        await asyncio.sleep(0)
        seen.append(dapr.now.second)

    async with dapr:
        await dapr.advance(timedelta(seconds=3))

    assert seen == [1, 1, 2, 2, 3, 3]


async def test_time_to_live_is_virtual(app: DaprFlow) -> None:
    """State expires when the test says so."""
    async with TestSidecar(app) as dapr:
        store = dapr.state("statestore")
        await store.set("k", 1, ttl=SECOND)
        item = await store.get("k", int)
        assert item is not None
        assert item.value == 1

        await dapr.advance(2 * SECOND)
        assert await store.get("k", int) is None


async def test_time_does_not_go_back(app: DaprFlow) -> None:
    """A negative step is refused."""
    async with TestSidecar(app) as dapr:
        with pytest.raises(ValueError, match="time cannot go back by 0:00:01"):
            await dapr.advance(-SECOND)


async def test_a_binding_is_triggered(app: DaprFlow) -> None:
    """Data and metadata reach the handler, and its failure is told."""
    seen: list[BindingEvent[Order]] = []

    @app.binding("orders-in")
    async def on_order(event: BindingEvent[Order]) -> None:
        if event.data.total < 0:
            raise ValueError
        seen.append(event)

    @app.cron("sweep", "@every 1h")
    async def sweep(*, client: Client) -> None:
        await client.publish(receipts, "swept")

    async with TestSidecar(app) as dapr:
        good = await dapr.trigger("orders-in", Order("1"), metadata={"Key": "k"})
        bad = await dapr.trigger("orders-in", b'{"id":"2","total":-1}')
        assert await dapr.trigger("sweep") is Status.SUCCESS
        assert dapr.published(receipts) == ["swept"]

    assert (good, bad) == (Status.SUCCESS, Status.RETRY)
    assert [event.data for event in seen] == [Order("1")]
    assert seen[0].metadata["key"] == "k"


async def test_an_unknown_binding_is_said(app: DaprFlow) -> None:
    """The error names the bindings there are."""

    @app.binding("orders-in")
    async def on_order(order: Order) -> None: ...

    async with TestSidecar(app) as dapr:
        with pytest.raises(LookupError, match="no handler of binding 'x'; it has 'orders-in'"):
            await dapr.trigger("x")


async def test_a_long_wait_says_what_may_hold_it_up(caplog: pytest.LogCaptureFixture) -> None:
    """A test that waits for a verdict which it would have to give itself is told so."""
    work = Work()
    work.begin()
    waiting = asyncio.create_task(Settling(VirtualClock(), work, hint=0.0).settle())
    await eventually(lambda: "publishes with 'dapr.client.publish'" in caplog.text)
    assert "still waits for 1 deliveries or calls" in caplog.text
    work.end()
    await waiting


async def test_rounding_keeps_nothing_from_being_due() -> None:
    """What is due in an hour, rounded up to a microsecond, comes when an hour passes."""
    clock = VirtualClock(1_790_000_000.0)
    called: list[str] = []
    clock.call_at(1_790_003_600.0000005, lambda: called.append("rounded"))
    clock.call_at(1_790_003_600.00001, lambda: called.append("later"))
    await Settling(clock, Work()).advance(timedelta(hours=1))
    assert called == ["rounded"]
