"""Peer: Litestar routes with msgspec structures."""

import msgspec
from litestar import Litestar, post


class Order(msgspec.Struct):
    """The payload."""

    id: int


class Event(msgspec.Struct):
    """The envelope."""

    id: str
    source: str
    type: str
    specversion: str
    data: Order


class Quote(msgspec.Struct):
    """What an invocation brings and gives back."""

    id: str
    total: int


@post("/on-order", status_code=200)  # type: ignore[untyped-decorator,unused-ignore]
async def on_order(data: Event) -> dict[str, str]:
    """Handle an order."""
    int(data.data.id)
    return {"status": "SUCCESS"}


@post("/quote", status_code=200)  # type: ignore[untyped-decorator,unused-ignore]
async def quote(data: Quote) -> Quote:
    """Answer an invocation."""
    return Quote(id=data.id, total=data.total + 1)


app = Litestar([on_order, quote], openapi_config=None)
