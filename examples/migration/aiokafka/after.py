"""After: a handler and a typed publish; the loop, offsets and dead letters are the sidecar's."""

import msgspec

from daprflow import Client, DaprFlow, Drop, Topic


# --8<-- [start:types]
class Order(msgspec.Struct):
    id: str
    customer: str
    total: int


orders = Topic("pubsub", "orders", Order, key=lambda order: order.customer)
# --8<-- [end:types]

app = DaprFlow("billing")


# --8<-- [start:consume]
@app.topic(orders, dead_letter="orders-dead", raw=True)  # plain JSON, as aiokafka wrote it
async def on_order(order: Order) -> None:
    if order.total < 0:
        raise Drop("a negative total is never right")
    print(f"{order.customer} pays {order.total}", flush=True)


# --8<-- [end:consume]


# --8<-- [start:dead]
@app.topic("pubsub", "orders-dead", raw=True)
async def on_dead(data: bytes) -> None:
    print(f"a person has to look at {data.decode()}", flush=True)


# --8<-- [end:dead]


# --8<-- [start:produce]
@app.invoke
async def place(order: Order, *, client: Client) -> None:
    await client.publish(orders, order, raw=True)


# --8<-- [end:produce]
