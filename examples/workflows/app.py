"""An order that is charged, rated, approved by a human and shipped, whatever happens meanwhile."""

from datetime import timedelta

import msgspec

from daprflow import (
    Activity,
    ActivityFailed,
    Client,
    DaprFlow,
    ExternalEvent,
    RetryPolicy,
    Topic,
    Workflow,
    WorkflowContext,
    WorkflowFailed,
    WorkflowState,
)

app = DaprFlow("workflows-example")


# --8<-- [start:types]
class Order(msgspec.Struct):
    id: str
    total: int


class Receipt(msgspec.Struct):
    order: str
    paid: int


score = Activity("risk", "score", Order, int)  # an activity of another app
invoice = Workflow("billing", "invoice", Receipt, str)  # a workflow of another app
approved = ExternalEvent("approved", bool)
orders = Topic("pubsub", "orders", Order)
# --8<-- [end:types]


# --8<-- [start:activities]
@app.activity
async def charge(order: Order, *, client: Client) -> Receipt:
    await client.state("statestore").set(f"paid:{order.id}", order.total)
    return Receipt(order.id, order.total)


@app.activity
def refund(order: Order) -> None:
    print(f"{order.total} given back for {order.id}")


@app.activity
async def ship(order: Order) -> str:
    if order.total > 9000:
        raise ValueError("too heavy")
    return f"parcel-{order.id}"


@app.activity
async def remind(order: Order) -> None:
    print(f"please approve {order.id}")


# --8<-- [end:activities]


# --8<-- [start:checkout]
@app.workflow
async def checkout(ctx: WorkflowContext, order: Order) -> str:
    patience = RetryPolicy(attempts=5, backoff=2)
    risk, receipt = await ctx.gather(
        ctx.call(score, order),
        ctx.call(charge, order, retry=patience),
    )
    ctx.status(f"paid {receipt.paid}, risk {risk}")
    if risk > 80 and not await ctx.wait(approved, timeout=timedelta(days=1), default=False):
        await ctx.call(refund, order)
        return "rejected"
    return await ctx.call(ship, order)


# --8<-- [end:checkout]


# --8<-- [start:saga]
@app.workflow
async def delivery(ctx: WorkflowContext, order: Order) -> str:
    async with ctx.saga() as saga:
        await ctx.call(charge, order)
        saga.undo(refund, order)
        return await ctx.call(ship, order)


# --8<-- [end:saga]


# --8<-- [start:race]
async def approval(ctx: WorkflowContext, order: Order) -> bool:
    """A part of a workflow: it waits for an approval, and reminds of it every day."""
    answer = ctx.wait(approved)
    for _ in range(3):
        if await ctx.race(answer, ctx.sleep(timedelta(days=1))) is answer:
            return await answer
        await ctx.call(remind, order)
    return False


# --8<-- [end:race]


# --8<-- [start:map]
@app.workflow
async def wholesale(ctx: WorkflowContext, batch: list[Order]) -> list[str]:
    if sum(order.total for order in batch) > 1000 and not await approval(ctx, batch[0]):
        return []
    receipts = await ctx.map(charge, batch, limit=5, retry=RetryPolicy(attempts=3))
    return await ctx.gather(*[ctx.start(invoice, receipt) for receipt in receipts])


# --8<-- [end:map]


# --8<-- [start:errors]
@app.workflow
async def careful(ctx: WorkflowContext, order: Order) -> str:
    patience = RetryPolicy(
        attempts=4,
        first=timedelta(seconds=10),
        backoff=3,
        maximum=timedelta(minutes=5),
        jitter=0.2,
        never=(ValueError, "CardExpired"),
    )
    try:
        return await ctx.call(ship, order, retry=patience)
    except ActivityFailed as failed:
        ctx.logger.warning("%s is not shipped: %s: %s", order.id, failed.type, failed.message)
        return "collect it at the shop"


# --8<-- [end:errors]


# --8<-- [start:topic]
@app.topic(orders, dead_letter="orders-dead")
async def on_order(order: Order, *, client: Client) -> None:
    await client.start(checkout, order, id=order.id, attach=True)  # delivered twice, started once


# --8<-- [end:topic]


# --8<-- [start:start]
@app.invoke
async def buy(order: Order, *, client: Client) -> str:
    run = await client.start(checkout, order, id=order.id)
    return run.id


@app.invoke
async def approve(order: Order, *, client: Client) -> str:
    run = client.workflow(checkout, order.id)
    await run.send(approved, data=True)
    try:
        return await run.result()
    except WorkflowFailed as error:
        return f"failed: {error.message}"


@app.invoke
async def stuck(*, client: Client) -> list[str]:
    found = client.workflows(checkout, state=WorkflowState.RUNNING)
    return [f"{each.id}: {each.custom_status}" async for each in found]


# --8<-- [end:start]


# --8<-- [start:loop]
@app.workflow
async def nightly(ctx: WorkflowContext, night: int) -> None:
    await ctx.sleep(timedelta(days=1))
    ctx.logger.info("night %d", night)
    ctx.restart(night + 1)


# --8<-- [end:loop]
