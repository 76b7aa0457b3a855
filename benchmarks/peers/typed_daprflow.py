"""Measured: a daprflow application with one typed topic handler."""

import msgspec

from daprflow import DaprFlow, Topic


class Order(msgspec.Struct):
    """The payload."""

    id: int


app = DaprFlow("bench")


@app.topic(Topic("pubsub", "orders", Order), dead_letter="unreadable")
async def on_order(order: Order) -> None:
    """Handle an order."""
