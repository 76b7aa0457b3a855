"""An app whose workflows and those of an app with another SDK use each other."""

import msgspec

from daprflow import Activity, DaprFlow, ExternalEvent, Workflow, WorkflowContext

app = DaprFlow("ours")


class Order(msgspec.Struct):
    """What both apps know as an object of JSON."""

    id: str
    total: int


class Toured(msgspec.Struct, omit_defaults=True):
    """What a workflow of the other app went through; some SDKs call nothing of other apps."""

    doubled: int
    fan: list[int]
    child: Order
    tries: int
    go: Order
    ours: tuple[int, Order] | None = None


go = ExternalEvent("Go", Order)
their_double = Activity("theirs", "their_double", int, int)
their_order = Workflow("theirs", "their_order", Order, Order)
tour = Workflow("theirs", "tour", Order, Toured)


@app.activity
async def our_double(number: int) -> int:
    """Double a number."""
    return number * 2


@app.workflow
async def our_order(ctx: WorkflowContext, order: Order) -> Order:
    """Double an order."""
    return Order(order.id, await ctx.call(our_double, order.total))


@app.workflow
async def ours(ctx: WorkflowContext, order: Order) -> list[int]:
    """Use the other app, and wait for its client."""
    doubled, child = await ctx.gather(
        ctx.call(their_double, order.total), ctx.start(their_order, order)
    )
    return [doubled, child.total, (await ctx.wait(go)).total]
