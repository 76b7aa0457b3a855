"""An order that is charged, rated, approved by a human and shipped, whatever happens meanwhile."""

from datetime import timedelta

import msgspec

from daprflow import (
    Activity,
    Client,
    DaprFlow,
    ExternalEvent,
    RetryPolicy,
    WorkflowContext,
    WorkflowFailed,
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
approved = ExternalEvent("approved", bool)
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


# --8<-- [end:start]


# --8<-- [start:loop]
@app.workflow
async def nightly(ctx: WorkflowContext, night: int) -> None:
    await ctx.sleep(timedelta(days=1))
    ctx.logger.info("night %d", night)
    ctx.restart(night + 1)


# --8<-- [end:loop]
