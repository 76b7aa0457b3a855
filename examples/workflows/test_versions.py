"""Old claims end as they began; new ones take the new way."""

from typing import Any

from daprflow import DaprFlow, WorkflowContext
from daprflow.protocol.history import HistoryEvent
from daprflow.testing import TestSidecar, replay
from examples.workflows.versions import app, claim, complaint, cooling_off, first_claim, pay


async def recorded(workflow: Any, *, name: str, version: str = "") -> tuple[HistoryEvent, ...]:
    """The history of an instance that ran when its code was all there was."""
    old = DaprFlow("versions-example")
    flow = old.workflow(name=name, version=version)(workflow)
    old.activity(name="pay")(pay)
    async with TestSidecar(old) as dapr:
        run = await dapr.start(flow, 5000)
        await dapr.advance(cooling_off)
        assert await run.result() == "paid 5000"
        return await run.history()


async def unpatched(ctx: WorkflowContext, amount: int) -> str:
    """What 'complaint' was before its change."""
    await ctx.sleep(cooling_off)
    return await ctx.call(pay, amount)


# --8<-- [start:test]
async def test_old_claims_fit_the_code_of_today() -> None:
    """A claim, and a complaint, that began before the change replay over their histories."""
    replay(first_claim, await recorded(first_claim.__wrapped__, name="claim", version="1"))
    replay(complaint, await recorded(unpatched, name="complaint"))


# --8<-- [end:test]


async def test_new_ones_take_the_new_way() -> None:
    """New claims are of the new version, and new complaints are assessed."""
    async with TestSidecar(app) as dapr:
        run = await dapr.start(claim, 5000)
        assert await run.result() == "paid 1000"
        assert (await run.status()).version == "2"
        late = await dapr.start(complaint, 5000)
        await dapr.advance(cooling_off)
        assert await late.result() == "paid 1000"
