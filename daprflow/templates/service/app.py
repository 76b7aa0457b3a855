"""Orders come in as events and are added up for each customer; anyone may ask for a total."""

import msgspec

from daprflow import Client, DaprFlow, Drop, Topic
from daprflow.components import DurablePubSub, RedisPubSub, RedisState


class Order(msgspec.Struct):
    """What is published to the topic."""

    id: str
    customer: str
    total: int


orders = Topic("pubsub", "orders", Order)
app = DaprFlow("starter")

# Handlers name components only; what those are may differ. 'daprflow run' has a state store itself.
app.component(DurablePubSub("pubsub"), env="dev")
app.component(RedisPubSub("pubsub", redis_host="redis:6379"), env="prod")
app.component(RedisState("statestore", redis_host="redis:6379"), env="prod")


@app.topic(orders, dead_letter="orders-dead")
async def on_order(order: Order, *, client: Client) -> None:
    """Add an order to what its customer has spent; a negative one goes to the dead letters."""
    if order.total < 0:
        raise Drop("negative total")
    store = client.state("statestore")
    await store.update(order.customer, int, lambda spent: (spent or 0) + order.total)


@app.invoke
async def total(customer: str, *, client: Client) -> int:
    """Return what a customer has spent."""
    item = await client.state("statestore").get(customer, int)
    return item.value if item else 0
