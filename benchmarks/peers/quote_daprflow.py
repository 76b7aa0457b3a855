"""Measured: a daprflow application with one typed method that can be invoked."""

import msgspec

from daprflow import DaprFlow


class Quote(msgspec.Struct):
    """What an invocation brings and gives back."""

    id: str
    total: int


app = DaprFlow("bench")


@app.invoke
async def quote(order: Quote) -> Quote:
    """Answer an invocation."""
    return Quote(order.id, order.total + 1)
