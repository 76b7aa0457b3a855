"""The service that answers: it does not care who starts its sidecar."""

from msgspec import Struct

from daprflow import DaprFlow, Topic


class Order(Struct):
    id: str
    total: int


orders = Topic("pubsub", "orders", Order)
app = DaprFlow("billing")
billed: list[Order] = []


@app.topic(orders, dead_letter="orders-dead")
async def on_order(order: Order) -> None:
    billed.append(order)
    print(f"billed {order.id}", flush=True)


@app.invoke
async def total() -> int:
    return sum(order.total for order in billed)
