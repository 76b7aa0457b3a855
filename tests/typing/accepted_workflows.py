"""Right uses of workflows: type checkers have nothing to say of them. It is never run."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import assert_type

from daprflow import (
    Activity,
    Client,
    DaprFlow,
    ExternalEvent,
    RetryPolicy,
    SyncClient,
    Task,
    Workflow,
    WorkflowContext,
    WorkflowRun,
    WorkflowState,
    WorkflowStatus,
)
from daprflow.client import SyncWorkflowRun
from daprflow.testing import TestSidecar, replay
from tests.typing.accepted import Order, Receipt, checkout, nightly

app = DaprFlow("typed")
score = Activity("risk", "score", Order, int)
ping = Activity("risk", "ping", None, None)
invoice = Workflow("billing", "invoice", Order, Receipt)
sweep = Workflow("billing", "sweep", None, int)
approved = ExternalEvent("approved", bool)
nudged = ExternalEvent("nudged", None)


@app.activity
async def charge(order: Order) -> Receipt:
    return Receipt(order.id)


@app.activity
def render(receipt: Receipt) -> str:
    return receipt.order_id


@app.activity
def ready() -> bool:
    return True


@app.activity(name="later")
async def named(order: Order) -> None: ...


@app.workflow
async def many(ctx: WorkflowContext, order: Order) -> str:
    policy = RetryPolicy(
        attempts=3, first=timedelta(seconds=1), deadline=timedelta(hours=1), only=(OSError, "Busy")
    )
    receipt = await ctx.call(charge, order, retry=policy)
    assert_type(receipt, Receipt)
    assert_type(await ctx.call(render, receipt), str)
    assert_type(await ctx.call(ready), bool)
    assert_type(await ctx.call(named, order), None)
    assert_type(await ctx.call(ping), None)
    task: Task[int] = ctx.call(score, order)
    assert_type(await task, int)
    assert_type(await ctx.map(score, [order, order], limit=3), list[int])
    assert_type(await ctx.map(invoice, (each for each in [order]), retry=policy), list[Receipt])
    assert_type(await ctx.start(sweep), int)
    assert_type(await ctx.start(invoice, order, id="i", retry=policy), Receipt)
    assert_type(ctx.start(sweep, detached=True), str)
    return await ctx.start(many, order)


@app.workflow
async def waits(ctx: WorkflowContext) -> None:
    assert_type(await ctx.wait(approved), bool)
    assert_type(await ctx.wait(approved, timeout=timedelta(1)), bool)
    assert_type(await ctx.wait(nudged), None)
    assert_type(await ctx.wait(approved, timeout=timedelta(1), default=False), bool)
    assert_type(await ctx.wait(approved, timeout=timedelta(1), default=None), bool | None)
    assert_type(await ctx.sleep(timedelta(1)), None)
    await ctx.sleep(datetime(2030, 1, 1, tzinfo=UTC))
    ctx.status({"step": 1})
    assert_type(ctx.patched("new"), bool)
    assert_type(ctx.random.randint(1, 6), int)
    ctx.logger.info("at %s", ctx.now)
    ctx.restart()


async def branch(ctx: WorkflowContext, order: Order) -> str:
    return await ctx.call(render, await ctx.call(charge, order))


@app.workflow
async def joins(ctx: WorkflowContext, order: Order) -> int:
    a, b, c = await ctx.gather(ctx.call(score, order), ctx.wait(approved), branch(ctx, order))
    assert_type(a, int)
    assert_type(b, bool)
    assert_type(c, str)
    four = await ctx.gather(
        ctx.call(score, order), ctx.wait(approved), branch(ctx, order), ctx.call(charge, order)
    )
    assert_type(four, tuple[int, bool, str, Receipt])
    five = await ctx.gather(
        ctx.call(score, order),
        ctx.wait(approved),
        branch(ctx, order),
        ctx.call(charge, order),
        ctx.sleep(timedelta(1)),
    )
    assert_type(five, tuple[int, bool, str, Receipt, None])
    found = await ctx.gather(*[ctx.call(score, order)], return_exceptions=True)
    assert_type(found, list[int | BaseException])
    event, late = ctx.wait(approved), ctx.sleep(timedelta(1))
    winner = await ctx.race(event, late)
    if winner is late:
        return 0
    assert_type(await event, bool)
    first: Task[int] = await ctx.race(*[ctx.call(score, order)])
    assert_type(await first, int)
    return a


async def manages(client: Client) -> None:
    run = await client.start(many, Order("o1", 1), id="m1", at=timedelta(hours=1), reuse=False)
    assert_type(run, WorkflowRun[str])
    assert_type(await run.result(timedelta(seconds=5)), str)
    await run.send(nudged, None)
    await run.suspend("why")
    await run.resume()
    await run.terminate({"any": "value"}, recursive=False)
    assert_type(await run.purge(force=True), int)
    assert_type(await run.rerun(1, data=Order("o1", 2)), WorkflowRun[str])
    status = await run.status()
    assert_type(status, WorkflowStatus[str])
    assert_type(status.state, WorkflowState)
    assert_type(status.custom_status_as(Receipt), Receipt | None)
    async for each in client.workflows(many, state={WorkflowState.FAILED}):
        assert_type(each, WorkflowStatus[str])


def manages_without_a_loop(client: SyncClient) -> None:
    run = client.start(many, Order("o1", 1), id="m1")
    assert_type(run, SyncWorkflowRun[str])
    assert_type(run.result(timedelta(seconds=5)), str)
    assert_type(client.start(nightly).result(), None)
    run.send(approved, True)  # noqa: FBT003 - it is the event's value
    assert_type(run.status().output, str | None)
    assert_type(client.workflow(checkout, "o1").rerun(1), SyncWorkflowRun[str])
    assert_type(client.workflows(many), Iterator[WorkflowStatus[str]])


async def bill(order: Order) -> Receipt:
    return Receipt(order.id)


async def tests() -> None:
    async with TestSidecar(app, replay=False) as dapr:
        dapr.fake(invoice, bill)
        run = await dapr.start(joins, Order("o1", 1))
        assert_type(await run.result(), int)
        replay(joins, await run.history())
