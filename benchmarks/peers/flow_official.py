"""Peer: an app on Dapr's FastAPI extension that publishes and handles; a route is the order."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from dapr.aio.clients import DaprClient
from dapr.ext.fastapi import DaprApp
from fastapi import FastAPI
from pydantic import BaseModel

from benchmarks.peers.flowing import Counter, flow


class Order(BaseModel):
    """The payload."""

    id: int


class Event(BaseModel):
    """The envelope."""

    id: str
    data: Order


TOPIC = f"flow-{os.environ['DAPR_HTTP_PORT']}"  # nobody else's
counter = Counter()
clients: list[DaprClient] = []


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Keep one client."""
    yield
    for client in clients:
        await client.close()  # type: ignore[no-untyped-call]


app = FastAPI(lifespan=lifespan)
dapr_app = DaprApp(app)


@dapr_app.subscribe(pubsub="events", topic=TOPIC, route="/on-order")  # type: ignore[untyped-decorator]
async def on_order(event: Event) -> dict[str, str]:
    """Handle an order."""
    int(event.data.id)
    counter.handled()
    return {"status": "SUCCESS"}


@app.post("/go")
async def go(count: int) -> float:
    """Publish and handle so many events."""
    if not clients:  # which waits for the sidecar, and that for the app
        clients.append(DaprClient())
    client = clients[0]

    async def publish(number: int) -> None:
        text = Order(id=number).model_dump_json()
        await client.publish_event("events", TOPIC, text, data_content_type="application/json")

    return await flow(counter, publish, count)
