"""Measured: a daprflow application with as many topics as ``HANDLERS`` says."""

import os

import msgspec

from daprflow import DaprFlow, Topic


class Order(msgspec.Struct):
    """The payload."""

    id: int


app = DaprFlow("bench")


def _add(number: int) -> None:
    async def on_order(order: Order) -> None:
        int(order.id)

    on_order.__name__ = f"on_order_{number}"  # names of handlers are unique
    app.topic(Topic("pubsub", f"orders-{number}", Order), dead_letter="unreadable")(on_order)


for each in range(int(os.environ["HANDLERS"])):
    _add(each)
