"""Events in tests: verdicts, redelivery, batches, and what was published."""

import asyncio
from datetime import timedelta

import msgspec
import pytest

from daprflow.addresses import Topic
from daprflow.app import DaprFlow
from daprflow.client import Client
from daprflow.errors import (
    Drop,
)
from daprflow.handlers.envelopes import Batch
from daprflow.protocol.deliveries import Status
from daprflow.testing import TestSidecar


class Order(msgspec.Struct):
    """A payload."""

    id: str
    total: int = 1


orders = Topic("pubsub", "orders", Order)
receipts = Topic("pubsub", "receipts", str)
lost = Topic("pubsub", "lost", Order)


async def test_publish_gives_the_verdict_of_the_handler(app: DaprFlow) -> None:
    """Done, dropped, and failed events are told apart."""

    @app.topic(orders, dead_letter="lost")
    async def on_order(order: Order) -> Status | None:
        if order.total < 0:
            raise Drop("negative")
        if order.total == 0:
            raise ValueError("nothing")
        return None

    async with TestSidecar(app) as dapr:
        assert await dapr.publish(orders, Order("1", 5)) is Status.SUCCESS
        assert await dapr.publish(orders, Order("2", -5)) is Status.DROP
        assert await dapr.publish(orders, Order("3", 0)) is Status.RETRY
        assert dapr.published(orders) == [Order("1", 5), Order("2", -5), Order("3", 0)]
        assert dapr.published(lost) == [Order("2", -5)]


async def test_a_failed_event_comes_again_as_time_passes(app: DaprFlow) -> None:
    """Redelivery happens on the virtual clock, and the verdict stays that of the first attempt."""
    attempts = []

    @app.topic(orders)
    async def on_order(order: Order) -> Status:
        attempts.append(order.id)
        return Status.RETRY if len(attempts) < 3 else Status.SUCCESS

    async with TestSidecar(app) as dapr:
        assert await dapr.publish(orders, Order("1")) is Status.RETRY
        assert attempts == ["1"]
        await dapr.advance(timedelta(milliseconds=500))
        assert attempts == ["1", "1"]
        await dapr.advance(timedelta(hours=1))
        assert attempts == ["1", "1", "1"]


async def test_a_hopeless_event_ends_as_a_dead_letter(app: DaprFlow) -> None:
    """After ten attempts the event goes to the topic for it, and stays readable."""
    attempts = []

    @app.topic(orders, dead_letter="lost")
    async def on_order(order: Order) -> Status:
        attempts.append(order.id)
        return Status.RETRY

    async with TestSidecar(app) as dapr:
        await dapr.publish(orders, Order("1"))
        await dapr.advance(timedelta(hours=1))
        assert len(attempts) == 10
        assert dapr.published(lost) == [Order("1")]


async def test_what_follows_from_an_event_is_done(app: DaprFlow) -> None:
    """A chain of handlers has ended when publish returns."""
    seen = []

    @app.topic(orders)
    async def on_order(order: Order, *, client: Client) -> None:
        await client.publish(receipts, f"receipt {order.id}")

    @app.topic(receipts)
    async def on_receipt(receipt: str) -> None:
        await asyncio.sleep(0.01)
        seen.append(receipt)

    async with TestSidecar(app) as dapr:
        assert await dapr.publish(orders, Order("1")) is Status.SUCCESS
        assert seen == ["receipt 1"]
        assert dapr.published(receipts) == ["receipt 1"]


async def test_the_verdict_is_that_of_the_published_event(app: DaprFlow) -> None:
    """A handler that publishes on its own topic does not confuse its test."""

    @app.topic(orders)
    async def on_order(order: Order, *, client: Client) -> Status:
        if order.total:
            await client.publish(orders, Order(order.id, order.total - 1))
            return Status.SUCCESS
        return Status.DROP

    async with TestSidecar(app) as dapr:
        assert await dapr.publish(orders, Order("1", 2)) is Status.SUCCESS
        assert [order.total for order in dapr.published(orders)] == [2, 1, 0]


async def test_events_published_together_keep_their_verdicts(app: DaprFlow) -> None:
    """Concurrent publishes each get their own answer."""

    @app.topic(orders)
    async def on_order(order: Order) -> Status:
        await asyncio.sleep(0.001 * order.total)
        return Status.DROP if order.total % 2 else Status.SUCCESS

    async with TestSidecar(app) as dapr:
        verdicts = await asyncio.gather(*(dapr.publish(orders, Order("x", n)) for n in range(6)))

    assert verdicts == [Status.SUCCESS, Status.DROP] * 3


async def test_a_batch_is_waited_for(app: DaprFlow) -> None:
    """A bulk subscription gathers for a second of virtual time, which publish lets pass."""
    sizes = []

    @app.topic(orders, max_messages=10, max_wait=timedelta(seconds=30))
    async def on_orders(batch: Batch[Order]) -> None:
        sizes.append(len(batch))
        for entry in batch:
            if entry.data.total < 0:
                entry.drop()

    async with TestSidecar(app) as dapr:
        verdicts = await asyncio.gather(
            dapr.publish(orders, Order("1")), dapr.publish(orders, Order("2", -1))
        )

    assert list(verdicts) == [Status.SUCCESS, Status.DROP]
    assert sizes == [2]


async def test_nobody_subscribed_is_said(app: DaprFlow) -> None:
    """A verdict needs a handler; the error names what there is and another way."""

    @app.topic(orders)
    async def on_order(order: Order) -> None: ...

    async with TestSidecar(app) as dapr:
        with pytest.raises(LookupError, match="does not subscribe to 'pubsub/receipts'") as caught:
            await dapr.publish(receipts, "x")
        assert "'pubsub/orders'" in str(caught.value)

        await dapr.client.publish(receipts, "y")
        assert dapr.published(receipts) == ["x", "y"]


async def test_nothing_published_is_an_empty_list(app: DaprFlow) -> None:
    """A topic nobody used is no error."""
    async with TestSidecar(app) as dapr:
        assert dapr.published(receipts) == []


async def test_a_foreign_payload_fails_the_test(app: DaprFlow) -> None:
    """Something of another type on a topic is a finding, not an exception to handle."""
    async with TestSidecar(app) as dapr:
        await dapr.client.publish("pubsub", "orders", {"id": 7})

        with pytest.raises(AssertionError, match=r"Topic\('pubsub', 'orders', Order\)"):
            dapr.published(orders)


async def test_raw_payloads_are_published_as_they_are(app: DaprFlow) -> None:
    """Without an envelope, the data is the message."""
    async with TestSidecar(app) as dapr:
        await dapr.client.publish(orders, Order("1"), metadata={"rawPayload": "true"})

        assert dapr.published(orders) == [Order("1")]


async def test_a_slow_sync_handler_is_waited_for(app: DaprFlow) -> None:
    """A plain function runs in a thread, and counts as work there."""
    seen = []

    @app.topic(orders)
    def on_order(order: Order) -> None:
        seen.append(sum(range(200_000)))

    async with TestSidecar(app) as dapr:
        assert await dapr.publish(orders, Order("1")) is Status.SUCCESS

    assert len(seen) == 1
