"""An order is stored and announced, or neither: the outbox of a state store."""

import msgspec

from daprflow import Client, DaprFlow, Topic
from daprflow.client import Upsert


class Order(msgspec.Struct):
    id: str
    total: int
    card: str


class OrderPlaced(msgspec.Struct):
    id: str
    total: int


placed = Topic("pubsub", "orders-placed", OrderPlaced)
app = DaprFlow("outbox-example")


@app.invoke
async def place(order: Order, *, client: Client) -> None:
    await client.state("orders").transaction(
        Upsert(order.id, order, projection=OrderPlaced(order.id, order.total)),
    )


@app.topic(placed, dead_letter="orders-dead", once="orders")
async def on_placed(event: OrderPlaced, *, client: Client) -> None:
    await client.state("orders").set(f"announced:{event.id}", event.total)
    print(f"placed {event.id}: {event.total}")
