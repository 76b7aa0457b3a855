"""The other app of the workflows of `workflow_app`."""

from daprflow import DaprFlow, WorkflowContext
from tests.helpers.workflow_app import Order

app = DaprFlow("workflow-other")


@app.activity
async def remote_double(number: int) -> int:
    """Double a number."""
    return number * 2


@app.workflow
async def remote_order(ctx: WorkflowContext, order: Order) -> Order:
    """Double an order."""
    return Order(order.id, await ctx.call(remote_double, order.total))
