"""Misuses of workflows: type checkers refuse each marked line. It is never run."""

from datetime import timedelta

from daprflow import Client, DaprFlow, RetryPolicy, SyncClient, WorkflowContext
from daprflow.testing import TestSidecar
from tests.typing.accepted import Order, Receipt
from tests.typing.accepted_workflows import (
    approved,
    bill,
    charge,
    invoice,
    many,
    ping,
    ready,
    render,
    score,
    sweep,
)

app = DaprFlow("wrong")


@app.workflow  # refused: arg-type
def plain(ctx: WorkflowContext) -> None: ...


@app.workflow  # refused: arg-type
async def without_context() -> None: ...


@app.workflow  # refused: arg-type
async def injected(ctx: WorkflowContext, order: Order, *, client: Client) -> None: ...


async def calls(ctx: WorkflowContext, order: Order) -> None:
    await ctx.call(score)  # refused: arg-type
    await ctx.call(score, Receipt("x"))  # refused: misc
    await ctx.call(ready, 1)  # refused: misc
    await ctx.call(ping, order)  # refused: misc
    await ctx.call(score, order, RetryPolicy())  # refused: call-overload
    await ctx.call(invoice, order)  # refused: call-overload
    await ctx.start(sweep, 5)  # refused: misc
    await ctx.start(score, order)  # refused: call-overload
    await ctx.start(invoice, order, detached=True)  # refused: misc
    await ctx.map(score, [Receipt("x")])  # refused: misc
    text: str = await ctx.call(score, order)  # refused: arg-type
    await ctx.sleep(5)  # refused: arg-type
    await ctx.wait("approved")  # refused: call-overload
    await ctx.wait(approved, timeout=5)  # refused: call-overload
    pair = (ctx.call(score, order), ctx.wait(approved), ctx.wait(approved))
    one, two = await ctx.gather(*pair)  # refused: misc
    ctx.call(score, order)  # mypy alone # refused: unused-awaitable
    ctx.saga().undo(render, order)  # refused: misc
    RetryPolicy(attempts="3")  # refused: arg-type
    RetryPolicy(first=5)  # refused: arg-type
    RetryPolicy(only=ValueError)  # refused: arg-type
    del text, one, two


async def manages(client: Client) -> None:
    run = await client.start(many)  # refused: arg-type
    await client.start(many, Order("o1", 1), at=5)  # refused: call-overload
    await client.start(charge, Order("o1", 1))  # refused: call-overload
    other = await client.start(many, Order("o1", 1))
    number: int = await other.result()  # refused: assignment
    await other.result(5)  # refused: arg-type
    await other.send(approved)  # refused: call-arg
    client.workflows(state="failed")  # refused: arg-type
    del run, number


def manages_without_a_loop(client: SyncClient) -> None:
    client.start(many, Receipt("x"))  # refused: misc
    number: int = client.workflow(many, "m1").result()  # refused: assignment
    client.workflow(many, "m1").send(approved, "yes")  # refused: misc
    del number


async def rates(order: Order) -> str:
    return order.id


async def tests(dapr: TestSidecar) -> None:
    dapr.fake(invoice, rates)  # mypy alone # refused: arg-type
    dapr.fake(score, bill)  # mypy alone # refused: arg-type
    await (await dapr.start(many, 5)).send(approved, timedelta(1))  # refused: misc
