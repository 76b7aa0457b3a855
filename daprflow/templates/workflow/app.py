"""An order is charged, approved by a human where it is large, and shipped; or given back."""

from datetime import timedelta

import msgspec

from daprflow import Client, DaprFlow, ExternalEvent, RetryPolicy, WorkflowContext
from daprflow.components import RedisState

LARGE = 100
PATIENCE = RetryPolicy(attempts=5)


class Order(msgspec.Struct):
    """What is bought."""

    id: str
    total: int


approved = ExternalEvent("approved", bool)
app = DaprFlow("starter")

# 'daprflow run' has a state store of its own. Workflows need one that is marked.
app.component(RedisState("statestore", redis_host="redis:6379", actor_state_store=True), env="prod")


@app.activity
async def charge(order: Order, *, client: Client) -> int:
    """Take the money; it may run again after a crash, so it is written under the order's id."""
    await client.state("statestore").set(f"paid-{order.id}", order.total)
    return order.total


@app.activity
async def refund(order: Order, *, client: Client) -> None:
    """Give the money back."""
    await client.state("statestore").delete(f"paid-{order.id}")


@app.activity
async def ship(order: Order) -> str:
    """Send the order; return the number of its parcel."""
    return f"parcel-{order.id}"


@app.workflow
async def checkout(ctx: WorkflowContext, order: Order) -> str:
    """Carry an order through; it goes on where it was after any restart."""
    paid = await ctx.call(charge, order, retry=PATIENCE)
    ctx.status(f"paid {paid}")
    if paid > LARGE and not await ctx.wait(approved, timeout=timedelta(days=1), default=False):
        await ctx.call(refund, order)
        return "rejected"
    return await ctx.call(ship, order, retry=PATIENCE)


@app.invoke
async def buy(order: Order, *, client: Client) -> str:
    """Start the workflow under the order's id, so that an order is bought once."""
    run = await client.start(checkout, order, id=order.id)
    return run.id
