"""Peer: Dapr's own FastAPI extension with a pydantic model for the event."""

from dapr.ext.fastapi import DaprApp
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
    datacontenttype: str = ""
    topic: str = ""
    pubsubname: str = ""
    time: str = ""


app = FastAPI()
dapr_app = DaprApp(app)


@dapr_app.subscribe(pubsub="pubsub", topic="orders", route="/on-order")  # type: ignore[untyped-decorator]
async def on_order(event: Event) -> dict[str, str]:
    """Handle an order."""
    int(event.data.id)
    return {"status": "SUCCESS"}
