"""Options of publishing, seen by the handlers that get the events."""

from datetime import UTC, datetime, timedelta

import msgspec

from daprflow import Client, CloudEvent, DaprFlow, Topic, trace_context
from daprflow.testing import TestSidecar

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


class Order(msgspec.Struct):
    """A payload."""

    id: str


orders = Topic("pubsub", "orders", Order)


def gathering(topic: Topic[Order]) -> tuple[DaprFlow, list[CloudEvent[Order]]]:
    """Return an app that keeps what it gets."""
    app = DaprFlow("shop")
    got: list[CloudEvent[Order]] = []

    @app.topic(topic)
    async def on_order(event: CloudEvent[Order]) -> None:
        got.append(event)

    return app, got


async def test_attributes_arrive_in_the_envelope() -> None:
    """What a call says of its event is what the handler reads."""
    app, got = gathering(orders)
    async with TestSidecar(app) as dapr:
        await dapr.publish(
            orders, Order("o1"), id="e1", type="order.placed", source="cli", subject="o1"
        )

    (event,) = got
    assert (event.id, event.type, event.source) == ("e1", "order.placed", "cli")
    assert (event.subject, event.data) == ("o1", Order("o1"))


async def test_an_envelope_arrives_as_it_was_published() -> None:
    """Extensions and a time of one's own survive the way."""
    app, got = gathering(orders)
    time = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    sent = CloudEvent(
        id="e1", source="shop", type="t", data=Order("o1"), time=time, extensions={"tenant": "x"}
    )
    async with TestSidecar(app) as dapr:
        await dapr.publish(orders, sent)

    (event,) = got
    assert (event.time, event.extensions, event.data) == (time, {"tenant": "x"}, Order("o1"))


async def test_many_events_arrive_in_order() -> None:
    """Published at once, handled one by one."""
    app, got = gathering(orders)
    async with TestSidecar(app) as dapr:
        await dapr.client.publish_many(orders, [Order(str(n)) for n in range(20)])
        await dapr.advance(timedelta(0))

    assert [event.data.id for event in got] == [str(n) for n in range(20)]


async def test_a_handlers_trace_goes_along() -> None:
    """What a handler publishes belongs to the trace of the event it handles."""
    app = DaprFlow("shop")
    got: list[str | None] = []

    @app.topic("pubsub", "ends")
    async def on_end(event: CloudEvent[Order]) -> None:
        got.append(event.traceparent)

    @app.topic("pubsub", "relays")
    async def on_relay(order: Order, *, client: Client) -> None:
        await client.publish("pubsub", "ends", order)

    relays = Topic("pubsub", "relays", Order)
    async with TestSidecar(app) as dapr:
        with trace_context(PARENT):
            await dapr.publish(relays, Order("o1"))
        await dapr.publish(relays, Order("o2"))

    assert got == [PARENT, None]
