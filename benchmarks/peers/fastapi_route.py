"""Peer: a FastAPI route with pydantic models, no Dapr extension."""

from fastapi import FastAPI
from pydantic import BaseModel


class Order(BaseModel):
    """The payload."""

    id: int


class Event(BaseModel):
    """The envelope."""

    id: str
    source: str
    type: str
    specversion: str
    data: Order


class Quote(BaseModel):
    """What an invocation brings and gives back."""

    id: str
    total: int


app = FastAPI()


@app.post("/on-order")  # type: ignore[untyped-decorator,unused-ignore]
async def on_order(event: Event) -> dict[str, str]:
    """Handle an order."""
    int(event.data.id)
    return {"status": "SUCCESS"}


@app.post("/quote")  # type: ignore[untyped-decorator,unused-ignore]
async def quote(order: Quote) -> Quote:
    """Answer an invocation."""
    return Quote(id=order.id, total=order.total + 1)
