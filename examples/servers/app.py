"""Orders arrive on Redis and are kept in PostgreSQL; the code names neither."""

import msgspec

from daprflow import Client, DaprFlow, Topic


class Order(msgspec.Struct):
    id: str
    total: int


orders = Topic("pubsub", "orders", Order)
app = DaprFlow("servers-example")


@app.topic(orders, dead_letter="orders-dead")
async def on_order(order: Order, *, client: Client) -> None:
    await client.state("statestore").set(order.id, order)
    print(f"order {order.id}")


@app.invoke
async def find(order_id: str, *, client: Client) -> Order | None:
    item = await client.state("statestore").get(order_id, Order)
    return item.value if item else None
