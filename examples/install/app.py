"""An existing FastAPI application that gets handlers of its own events."""

import msgspec
from fastapi import FastAPI

from daprflow import Client, DaprFlow, Topic


class Order(msgspec.Struct):
    id: str
    total: int


orders = Topic("pubsub", "orders", Order)
service = DaprFlow("install-example")


@service.topic(orders, dead_letter="orders-unreadable")
async def on_order(order: Order, *, client: Client) -> None:
    await client.state("statestore").set("latest", order.id)


app = FastAPI()


@app.get("/latest")
async def latest() -> str:
    item = await service.client.state("statestore").get("latest", str)
    return item.value if item else "none yet"


service.install(app)
