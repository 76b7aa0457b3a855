"""Measured: a daprflow application that tells whether an event has reached it."""

import msgspec

from daprflow import DaprFlow, Topic


class Order(msgspec.Struct):
    """The payload."""

    id: int


app = DaprFlow("bench")
events: list[int] = []


@app.topic(Topic("events", "orders", Order), dead_letter="unreadable")
async def on_order(order: Order) -> None:
    """Keep the number."""
    events.append(order.id)


@app.invoke
async def seen() -> int:
    """Say how many events there were."""
    return len(events)
