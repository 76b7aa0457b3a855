"""After: the same workflow as an ``async def``, on the app's own event loop."""

from datetime import timedelta

from pydantic import BaseModel

from daprflow import Client, DaprFlow, ExternalEvent, RetryPolicy, WorkflowContext


# --8<-- [start:types]
class Order(BaseModel):
    id: str
    total: int


approved = ExternalEvent("approved", bool)
# --8<-- [end:types]

app = DaprFlow("checkout")


# --8<-- [start:activities]
@app.activity
async def charge(order: Order) -> str:
    print(f"charged {order.total} for {order.id}", flush=True)
    return f"receipt-{order.id}"


@app.activity
async def score(order: Order) -> int:
    return 90 if order.total > 100 else 10


@app.activity
def refund(receipt: str) -> None:
    print(f"gave back {receipt}", flush=True)


# --8<-- [end:activities]


# --8<-- [start:workflow]
patience = RetryPolicy(attempts=5, first=timedelta(seconds=1), backoff=2)


@app.workflow
async def checkout(ctx: WorkflowContext, order: Order) -> str:
    risk, receipt = await ctx.gather(
        ctx.call(score, order),
        ctx.call(charge, order, retry=patience),
    )
    ctx.status(f"paid, risk {risk}")
    if risk > 80:
        answer = ctx.wait(approved)
        first = await ctx.race(answer, ctx.sleep(timedelta(days=1)))
        if first is not answer or not await answer:
            await ctx.call(refund, receipt)
            return "rejected"
    return receipt


# --8<-- [end:workflow]


# --8<-- [start:run]
@app.invoke
async def buy(order: Order, *, client: Client) -> str:
    run = await client.start(checkout, order, id=order.id)
    return run.id


@app.invoke
async def approve(order_id: str, *, client: Client) -> str:
    run = client.workflow(checkout, order_id)
    await run.send(approved, data=True)
    return await run.result()


# --8<-- [end:run]
