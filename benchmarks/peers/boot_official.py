"""Peer: the same on Dapr's FastAPI extension."""

from dapr.ext.fastapi import DaprApp
from fastapi import FastAPI
from pydantic import BaseModel


class Order(BaseModel):
    """The payload."""

    id: int


class Event(BaseModel):
    """The envelope."""

    data: Order


app = FastAPI()
dapr_app = DaprApp(app)
events: list[int] = []


@dapr_app.subscribe(pubsub="events", topic="orders", route="/on-order")  # type: ignore[untyped-decorator]
async def on_order(event: Event) -> dict[str, str]:
    """Keep the number."""
    events.append(event.data.id)
    return {"status": "SUCCESS"}


@app.post("/seen")
async def seen() -> int:
    """Say how many events there were."""
    return len(events)
