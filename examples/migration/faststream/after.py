"""After: the same service with daprflow; the broker is a component file."""

from pydantic import BaseModel

from daprflow import Client, DaprFlow, Retry, Topic


# --8<-- [start:types]
class Order(BaseModel):
    id: str
    total: int


class Receipt(BaseModel):
    order: str


orders = Topic("pubsub", "orders", Order)
receipts = Topic("pubsub", "receipts", Receipt)
# --8<-- [end:types]

app = DaprFlow("billing")


# --8<-- [start:subscribe]
@app.topic(orders, dead_letter="orders-dead")
async def on_order(order: Order, *, client: Client) -> None:
    if order.total == 0:
        raise Retry("the price is not known yet")
    print(f"billed {order.id}", flush=True)
    await client.publish(receipts, Receipt(order=order.id))


# --8<-- [end:subscribe]


# --8<-- [start:publish]
@app.job("place", schedule="@every 10s")
async def place(*, client: Client) -> None:
    await client.publish(orders, Order(id="o1", total=5))


# --8<-- [end:publish]
