"""Measured: a daprflow application that publishes and handles; a method of it is the order."""

import os

import msgspec

from benchmarks.peers.flowing import Counter, flow
from daprflow import Client, DaprFlow, Topic


class Order(msgspec.Struct):
    """The payload."""

    id: int


app = DaprFlow("bench")
orders = Topic("events", f"flow-{os.environ['DAPR_HTTP_PORT']}", Order)  # nobody else's
counter = Counter()


@app.topic(orders, dead_letter="unreadable")
async def on_order(order: Order) -> None:
    """Handle an order."""
    int(order.id)
    counter.handled()


@app.invoke
async def go(count: int, *, client: Client) -> float:
    """Publish and handle so many events."""
    return await flow(counter, lambda number: client.publish(orders, Order(number)), count)
