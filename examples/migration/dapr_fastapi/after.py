"""After: the same FastAPI service with daprflow: same paths, same topics, same stored data."""

import msgspec
from fastapi import FastAPI
from pydantic import BaseModel

from daprflow import Actor, Client, DaprFlow, Drop, Part, Topic, actor_method


# --8<-- [start:types]
class Order(BaseModel):
    id: str
    total: int


orders = Topic("pubsub", "orders", Order)
dead = Topic("pubsub", "orders-dead", msgspec.Raw)
# --8<-- [end:types]

app = FastAPI()
service = DaprFlow("shop")


# --8<-- [start:publish]
@app.post("/orders")
async def place(order: Order) -> dict[str, str]:
    await service.client.publish(orders, order)
    return {"placed": order.id}


# --8<-- [end:publish]


# --8<-- [start:subscribe]
@service.topic(orders, dead_letter="orders-dead")
async def on_order(order: Order, *, client: Client) -> None:
    if order.total < 0:
        raise Drop("a negative total is never right")
    await add(client, order.total)


@service.topic(dead)
async def on_dead(order: msgspec.Raw) -> None:
    print("given up:", bytes(order).decode(), flush=True)


# --8<-- [end:subscribe]


# --8<-- [start:state]
async def add(client: Client, amount: int) -> None:
    store = client.state("statestore")
    await store.update("total", int, lambda so_far: (so_far or 0) + amount)


# --8<-- [end:state]


# --8<-- [start:invoke]
@service.invoke
async def total(*, client: Client) -> int:
    item = await client.state("statestore").get("total", int)
    return item.value if item else 0


# --8<-- [end:invoke]


# --8<-- [start:actor]
@service.actor
class Cart(Actor[None], actor_type="Cart"):
    items = Part(list[str])  # the key that the old class wrote

    @actor_method("Add")
    async def add(self, sku: str) -> int:
        self.items.append(sku)
        return len(self.items)


@app.post("/carts/{name}/{sku}")
async def put(name: str, sku: str) -> int:
    return await service.client.actor(Cart, name).add(sku)


# --8<-- [end:actor]

service.install(app)
