"""The example does what its page says."""

from pathlib import Path

import pytest

from daprflow import DaprFlow, NonDeterminismError, WorkflowContext
from daprflow.testing import TestSidecar, replay
from examples.workflow_operations.app import Request, app, book, days_left, decided, leave

HERE = Path(__file__).parent


# --8<-- [start:replay]
def test_running_requests_can_still_finish() -> None:
    """The code of today does what was recorded."""
    replay(leave, HERE / "ann.json")


# --8<-- [end:replay]


async def test_a_request_waits_for_the_manager() -> None:
    """An approved request is booked."""
    async with TestSidecar(app) as dapr:
        run = await dapr.start(leave, Request("ann", 5))
        assert (await run.status()).custom_status == "waits for the manager"
        await run.send(decided, data=True)
        assert await run.result() == "ann is away for 5 days"


def test_changed_code_is_told_where_it_differs() -> None:
    """Booking before the manager has decided breaks what runs, and the line is named."""

    @DaprFlow("changed").workflow(name="leave")
    async def hasty(ctx: WorkflowContext, request: Request) -> str:
        await ctx.call(days_left, request.who)
        return await ctx.call(book, request)

    with pytest.raises(
        NonDeterminismError,
        match=r"history step 2 is a wait for event 'decided'; this code asks for activity 'book' "
        r"there \(test_app\.\S*hasty:\d+\)",
    ):
        replay(hasty, HERE / "ann.json")
