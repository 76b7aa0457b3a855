"""A claim whose workflow changed twice while claims were under way."""

from datetime import timedelta

from daprflow import DaprFlow, WorkflowContext

app = DaprFlow("versions-example")
cooling_off = timedelta(days=14)


@app.activity
async def assess(amount: int) -> int:
    return min(amount, 1000)


@app.activity
async def pay(amount: int) -> str:
    return f"paid {amount}"


# --8<-- [start:versions]
@app.workflow(name="claim", version="1")
async def first_claim(ctx: WorkflowContext, amount: int) -> str:
    await ctx.sleep(cooling_off)
    return await ctx.call(pay, amount)


@app.workflow(name="claim", version="2", default=True)
async def claim(ctx: WorkflowContext, amount: int) -> str:
    return await ctx.call(pay, await ctx.call(assess, amount))


# --8<-- [end:versions]


# --8<-- [start:patched]
@app.workflow
async def complaint(ctx: WorkflowContext, amount: int) -> str:
    await ctx.sleep(cooling_off)
    if ctx.patched("assess-first"):
        amount = await ctx.call(assess, amount)
    return await ctx.call(pay, amount)


# --8<-- [end:patched]
