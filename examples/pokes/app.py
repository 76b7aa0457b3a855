"""A shop to poke at: an event, a method, a job, an actor, state, configuration and a secret."""

import msgspec

from daprflow import Actor, Client, DaprFlow, Topic


class Order(msgspec.Struct):
    id: str
    total: int


orders = Topic("pubsub", "orders", Order)
app = DaprFlow("shop")


@app.topic(orders, dead_letter="orders-unreadable")
async def on_order(order: Order, *, client: Client) -> None:
    await client.state("statestore").set(f"order:{order.id}", order)


@app.invoke
async def price(order: Order) -> int:
    return order.total * 119 // 100


@app.job("report")
async def report(limits: dict[str, int]) -> None:
    print(f"reports at most {limits['daily']}")


@app.actor
class Cart(Actor[list[str]]):
    async def add(self, sku: str) -> int:
        self.state.append(sku)
        return len(self.state)

    async def remember(self, what: str) -> None:
        print(f"cart {self.id}: {what}")
