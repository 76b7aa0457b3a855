"""Orders arrive every few seconds, are added up, and anyone may ask for the total."""

from uuid import uuid4

import msgspec

from daprflow import Client, DaprFlow, Topic


class Order(msgspec.Struct):
    id: str
    total: int


orders = Topic("pubsub", "orders", Order)
app = DaprFlow("quickstart")


@app.cron("new-order", "@every 3s")
async def place_order(*, client: Client) -> None:
    await client.publish(orders, Order(id=uuid4().hex[:6], total=1))


@app.topic(orders, dead_letter="orders-unreadable")
async def add_up(order: Order, *, client: Client) -> None:
    store = client.state("statestore")
    total = await store.update("total", int, lambda so_far: (so_far or 0) + order.total)
    print(f"order {order.id}: {order.total}, together {total}")


@app.invoke
async def total(*, client: Client) -> int:
    item = await client.state("statestore").get("total", int)
    return item.value if item else 0
