"""Workflows under test: an app, its worker and the embedded engine, on a virtual clock."""

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from daprflow import (
    Activity,
    Client,
    DaprFlow,
    Delivery,
    ExternalEvent,
    NonDeterminismError,
    NotFound,
    RetryPolicy,
    SidecarError,
    Workflow,
    WorkflowContext,
    WorkflowFailed,
)
from daprflow.protocol.history import ExecutionCompleted, TaskScheduled
from daprflow.protocol.workflow_actions import WorkflowState
from daprflow.testing import TestSidecar
from daprflow.testing.workflow_run import UnfinishedWorkflow

YES = True
approved = ExternalEvent("approved", bool)
score: Activity[int, int] = Activity("risk", "score", int, int)


class Log:
    """What activities did, in order."""

    def __init__(self) -> None:
        self.lines: list[str] = []


def shop(log: Log) -> DaprFlow:
    """An app with workflows whose activities use what it provides."""
    app = DaprFlow("shop")

    @app.provide
    async def provided() -> AsyncIterator[Log]:
        yield log

    @app.activity
    async def charge(amount: int, *, log: Log, client: Client) -> int:
        assert client is app.client
        log.lines.append(f"charge {amount}")
        return amount * 2

    @app.activity
    def refund(amount: int, *, log: Log) -> None:
        log.lines.append(f"refund {amount}")

    @app.activity
    async def refuse(amount: int, *, log: Log, delivery: Delivery) -> int:
        log.lines.append(f"refuse {amount} for {dict(delivery.headers)['dapr-workflow-id']}")
        raise ValueError("no money")

    @app.workflow
    async def checkout(ctx: WorkflowContext, amount: int) -> str:
        paid = await ctx.call(charge, amount)
        if not await ctx.wait(approved, timeout=timedelta(days=1), default=False):
            return f"rejected {paid}"
        return f"done {paid}"

    @app.workflow
    async def booking(ctx: WorkflowContext, amount: int) -> str:
        async with ctx.saga() as saga:
            await ctx.call(charge, amount)
            saga.undo(refund, amount)
            await ctx.call(charge, amount + 1)
            saga.undo(refund, amount + 1)
            await ctx.call(refuse, amount, retry=RetryPolicy(attempts=2))
        return "booked"

    _add_more(app, checkout)
    return app


def _add_more(app: DaprFlow, checkout: Workflow[int, str]) -> None:
    @app.workflow
    async def parent(ctx: WorkflowContext) -> str:
        return await ctx.start(checkout, 1, id=f"{ctx.id}-child")

    @app.workflow
    async def rated(ctx: WorkflowContext, amount: int) -> int:
        return await ctx.call(score, amount)

    @app.workflow
    async def counts(ctx: WorkflowContext, number: int) -> int:
        await ctx.sleep(timedelta(minutes=1))
        if number < 3:
            ctx.restart(number + 1)
        return number


def of(app: DaprFlow, name: str) -> Any:
    """A workflow of the app by its name."""
    return next(each for each in app.workflow_handles().handles if each.name == name)


async def test_a_day_passes_at_once() -> None:
    """A workflow's timer fires with the virtual clock; what it waits for until then is told."""
    log = Log()
    app = shop(log)
    async with TestSidecar(app) as dapr:
        run = await dapr.start(of(app, "checkout"), 5, id="o1")
        with pytest.raises(UnfinishedWorkflow, match="waits for event 'approved'"):
            await run.result()
        await dapr.advance(timedelta(days=2))
        assert await run.result() == "rejected 10"
    assert log.lines == ["charge 5"]


async def test_events_reach_a_workflow() -> None:
    """An event that is sent is what the workflow waits for, before its timer."""
    app = shop(Log())
    async with TestSidecar(app) as dapr:
        run = await dapr.start(of(app, "checkout"), 5)
        await run.send(approved, YES)
        assert await run.result() == "done 10"


async def test_workflows_that_others_started_are_found() -> None:
    """An instance that a handler started is found by its id, and refused while it waits."""
    app = shop(Log())
    checkout = of(app, "checkout")

    @app.invoke
    async def buy(amount: int, *, client: Client) -> str:
        return (await client.start(checkout, amount, id="from-handler")).id

    async with TestSidecar(app) as dapr:
        run = dapr.workflow(checkout, await dapr.invoke(buy, 5))
        with pytest.raises(UnfinishedWorkflow, match="waits for event 'approved'"):
            await run.result()
        await run.suspend()
        await run.send(approved, YES)
        assert (await run.status()).state is WorkflowState.SUSPENDED
        await run.resume()
        status = await run.status()
        assert (status.state, status.output) == (WorkflowState.COMPLETED, "done 10")
        again = await run.rerun(1, data=7)
        assert (await again.status()).state is WorkflowState.RUNNING
        await again.terminate()
        assert (await again.status()).state is WorkflowState.TERMINATED


async def test_what_a_workflow_waits_for_is_told() -> None:
    """All it waits for is named, with the lines, and so is what helps."""
    app = DaprFlow("waiting")

    @app.workflow
    async def many(ctx: WorkflowContext) -> None:
        async def branch(hours: int) -> None:
            await ctx.sleep(timedelta(hours=hours))

        lost = [ctx.wait(approved) for _ in range(4)]
        await ctx.gather(branch(1), ctx.call(score, 1), ctx.race(*lost))

    async with TestSidecar(app) as dapr:
        run = await dapr.start(many)
        with pytest.raises(UnfinishedWorkflow) as caught:
            await run.result()
        text = re.sub(r"[\w.]+:\d+", "LINE", str(caught.value))
        event = "event 'approved'"
        assert (
            f"waits for branch 'branch', activity 'score' of app 'risk', the first of {event}, "
            f"{event}, {event} and 1 more (LINE), a timer (LINE); move the clock"
        ) in text
        await run.suspend()
        with pytest.raises(UnfinishedWorkflow, match=r"is SUSPENDED .*; resume it"):
            await run.result()
        later = await dapr.start(many, at=timedelta(hours=1))
        with pytest.raises(UnfinishedWorkflow, match=r"is PENDING .* the time of its start"):
            await later.result()


async def test_undo_runs_in_reverse() -> None:
    """What a failed saga did is taken back, the newest first, and the error goes on."""
    log = Log()
    app = shop(log)
    async with TestSidecar(app) as dapr:
        run = await dapr.start(of(app, "booking"), 5, id="b1")
        await dapr.advance(timedelta(minutes=1))
        with pytest.raises(WorkflowFailed) as caught:
            await run.result()
    assert log.lines == [
        "charge 5",
        "charge 6",
        "refuse 5 for b1",
        "refuse 5 for b1",
        "refund 6",
        "refund 5",
    ]
    assert caught.value.type == "ActivityFailed"
    assert caught.value.cause is not None
    assert (caught.value.cause.type, caught.value.cause.message) == ("ValueError", "no money")


async def test_children_give_their_results() -> None:
    """A child workflow runs under its own id, and its result is the parent's."""
    app = shop(Log())
    async with TestSidecar(app) as dapr:
        run = await dapr.start(of(app, "parent"), id="p1")
        child = dapr.client.workflow(of(app, "checkout"), "p1-child")
        await child.send(approved, YES)
        assert await run.result() == "done 2"


async def test_activities_of_other_apps_are_faked() -> None:
    """An activity of another app is answered by a function of the test, failures included."""
    app = shop(Log())

    async def high(amount: int) -> int:
        if amount < 0:
            raise ValueError("negative")
        return amount + 90

    async with TestSidecar(app) as dapr:
        dapr.fake(score, high)
        assert await (await dapr.start(of(app, "rated"), 9)).result() == 99
        failed = await dapr.start(of(app, "rated"), -1)
        with pytest.raises(WorkflowFailed, match="negative"):
            await failed.result()


async def test_restarts_keep_their_id() -> None:
    """A workflow that begins anew goes on under its id, with the new input."""
    app = shop(Log())
    async with TestSidecar(app) as dapr:
        run = await dapr.start(of(app, "counts"), 0, id="c1")
        await dapr.advance(timedelta(minutes=5))
        assert await run.result() == 3


async def test_instances_are_managed() -> None:
    """An instance is suspended, resumed, terminated, listed and purged."""
    app = shop(Log())
    checkout = of(app, "checkout")
    async with TestSidecar(app) as dapr:
        run = await dapr.start(checkout, 1, id="m1")
        await run.resume()
        await run.suspend("hold on")
        assert (await run.status()).state is WorkflowState.SUSPENDED
        await run.resume()
        assert (await run.status()).state is WorkflowState.RUNNING
        with pytest.raises(SidecarError, match="active workflow"):
            await dapr.client.start(checkout, 1, id="m1")
        await run.terminate("enough")
        with pytest.raises(WorkflowFailed, match="terminated"):
            await run.result()
        states = {each.id: each.state async for each in dapr.client.workflows(checkout)}
        assert states == {"m1": WorkflowState.TERMINATED}
        assert [each async for each in dapr.client.workflows("other")] == []
        assert await run.purge() == 1
        with pytest.raises(NotFound, match="no workflow instance 'm1'"):
            await run.status()


async def test_history_and_rerun() -> None:
    """An instance's history has its steps; from one of them a new instance goes on."""
    log = Log()
    app = shop(log)
    async with TestSidecar(app) as dapr:
        run = await dapr.start(of(app, "checkout"), 5)
        await run.send(approved, YES)
        await run.result()
        steps = [each for each in await run.history() if isinstance(each, TaskScheduled)]
        assert [(each.id, each.name, each.input) for each in steps] == [(1, "charge", "5")]
        assert isinstance((await run.history())[-1], ExecutionCompleted)
        again = await run.rerun(1, data=7)
        await again.send(approved, YES)
        assert await again.result() == "done 14"
    assert log.lines == ["charge 5", "charge 7"]


async def test_code_that_differs_on_replay_is_told() -> None:
    """Code that does something else when it is replayed is told at the next step."""
    app = DaprFlow("changing")
    turns = iter(range(100))

    @app.activity
    async def one(number: int) -> int:
        return number

    @app.activity
    async def two(number: int) -> int:
        return number

    @app.workflow
    async def flow(ctx: WorkflowContext) -> int:
        first = one if next(turns) % 2 == 0 else two
        return await ctx.call(first, 1)

    async with TestSidecar(app) as dapr:
        run = await dapr.start(flow)
        with pytest.raises(NonDeterminismError, match="history step 1 is activity 'one'"):
            await run.result()


async def test_activities_are_called_as_written() -> None:
    """What the decorators return is still the function, sync or async."""
    app = DaprFlow("plain")

    @app.activity
    async def twice(number: int) -> int:
        return number * 2

    @app.activity(name="other-name")
    def half(number: int) -> int:
        return number // 2

    assert await twice(4) == 8
    assert half(4) == 2
    assert (half.name, twice.takes, half.returns) == ("other-name", int, int)


async def test_many_workflows_without_replay() -> None:
    """With the replay switched off, workflows stay in memory between their turns."""
    app = shop(Log())
    async with TestSidecar(app, replay=False) as dapr:
        runs = [await dapr.start(of(app, "checkout"), number) for number in range(5)]
        for run in runs:
            await run.send(approved, YES)
        assert [await run.result() for run in runs] == [f"done {2 * n}" for n in range(5)]
