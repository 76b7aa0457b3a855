"""A service whose traces need no code: OpenTelemetry's variables alone switch them on."""

import msgspec

from daprflow import Client, DaprFlow, Topic, WorkflowContext


class Order(msgspec.Struct):
    id: str
    total: int


orders = Topic("pubsub", "orders", Order)
app = DaprFlow("tracing-example")


@app.invoke
async def buy(order: Order, *, client: Client) -> None:
    await client.publish(orders, order)


@app.topic(orders, dead_letter="orders-dead")
async def on_order(order: Order, *, client: Client) -> None:
    await client.state("statestore").set(order.id, order)
    await client.start(checkout, order, id=order.id)


@app.activity
async def charge(order: Order) -> int:
    if order.total < 0:
        raise ValueError(f"order '{order.id}' has a negative total")
    return order.total


@app.workflow
async def checkout(ctx: WorkflowContext, order: Order) -> int:
    return await ctx.call(charge, order)
