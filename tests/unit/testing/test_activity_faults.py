"""Activities that fail or are late because a test asks for it; waiting by metadata."""

import asyncio
from datetime import timedelta

import pytest

from daprflow.addresses import Activity
from daprflow.app import DaprFlow
from daprflow.errors import WorkflowFailed
from daprflow.testing import TestSidecar, UnfinishedWorkflow, until_metadata
from daprflow.workflows.context import WorkflowContext
from daprflow.workflows.retry import RetryPolicy

score = Activity("risk", "score", int, int)


async def test_an_own_activity_fails_and_is_tried_again(app: DaprFlow) -> None:
    """A retry policy sees the failures; without one the workflow fails with the error's type."""

    @app.activity
    async def charge(amount: int) -> int:
        return amount + 1

    @app.workflow
    async def patient(ctx: WorkflowContext, amount: int) -> int:
        return await ctx.call(charge, amount, retry=RetryPolicy(attempts=3))

    @app.workflow
    async def strict(ctx: WorkflowContext, amount: int) -> int:
        return await ctx.call(charge, amount)

    async with TestSidecar(app) as dapr:
        fault = dapr.fail(charge, times=2)
        run = await dapr.start(patient, 1)
        await dapr.advance(timedelta(minutes=5))
        assert await run.result() == 2
        assert fault.hits == 2
        dapr.fail(charge, error=KeyError("card"))
        failed = await dapr.start(strict, 1)
        with pytest.raises(WorkflowFailed, match="KeyError"):
            await failed.result()


async def test_a_fake_of_another_apps_activity_is_late(app: DaprFlow) -> None:
    """The workflow waits on the virtual clock."""

    @app.workflow
    async def rated(ctx: WorkflowContext, amount: int) -> int:
        return await ctx.call(score, amount)

    async def seven(amount: int) -> int:
        return 7

    async with TestSidecar(app) as dapr:
        dapr.fake(score, seven)
        dapr.delay(score, timedelta(hours=1))
        run = await dapr.start(rated, 1)
        with pytest.raises(UnfinishedWorkflow):
            await run.result()
        await dapr.advance(timedelta(hours=1))
        assert await run.result() == 7


async def test_metadata_is_waited_for(app: DaprFlow) -> None:
    """It returns when the metadata show it, and says what they showed when they did not."""
    async with TestSidecar(app) as dapr:
        making = asyncio.create_task(dapr.state("later").set("a", 1))
        found = await until_metadata(
            dapr.client, lambda shown: any(each.name == "later" for each in shown.components)
        )
        await making
        assert [each.name for each in found.components] == ["later"]
        with pytest.raises(TimeoutError, match=r"within 0.01 s; components: later; subscriptions"):
            await until_metadata(dapr.client, lambda _: False, within=timedelta(milliseconds=10))


async def test_workflows_go_on_after_a_lost_sidecar(app: DaprFlow) -> None:
    """The worker finds the sidecar again, and what was waiting goes on."""

    @app.activity
    async def charge(amount: int) -> int:
        return amount + 1

    @app.workflow
    async def later(ctx: WorkflowContext, amount: int) -> int:
        await ctx.sleep(timedelta(hours=1))
        return await ctx.call(charge, amount)

    async with TestSidecar(app) as dapr:
        run = await dapr.start(later, 1)
        async with dapr.disconnected():
            pass
        await dapr.advance(timedelta(hours=2))
        assert await run.result() == 2
