"""The app whose data are kept of every release; what it does is never changed, only added to."""

import os
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

from daprflow import Actor, DaprFlow, ExternalEvent, Job, Topic, WorkflowContext
from tests.faults.harness.ledger import Ledger
from tests.faults.harness.proof_app import LEDGER
from tests.helpers.kill_app import PROCESS

app = DaprFlow("released")
numbers = Topic("pubsub", "numbers", int)
later = Job("later", int)
more = ExternalEvent("more", int)
FAR = timedelta(days=365 * 70)
"""When what is not to be due comes due."""
SOON = timedelta(milliseconds=5)


@app.provide
async def ledger() -> AsyncIterator[Ledger]:
    """Open the ledger of this process."""
    made = Ledger(Path(os.environ[LEDGER]), os.environ[PROCESS])
    made.open()
    yield made
    made.close()


@app.topic(numbers)
async def take(number: int, *, ledger: Ledger) -> None:
    """Note an event."""
    ledger.note("handled", number)


@app.job("later")
async def on_later(number: int) -> None:
    """Stand for a job that is never due."""


@app.actor
class CountActor(Actor[int]):
    """Counts, and has a reminder that is never due."""

    async def up(self) -> int:
        """Add one."""
        self.state += 1
        return self.state

    async def wake(self) -> None:
        """Be reminded."""
        await self.remind(self.remember, 7, due=FAR)

    async def remember(self, number: int) -> None:
        """Stand for what is never reminded of."""


@app.activity
async def double(number: int) -> int:
    """Return twice as much."""
    return 2 * number


@app.workflow
async def inner(ctx: WorkflowContext, number: int) -> int:
    """Be somebody's child."""
    return await ctx.call(double, number)


@app.workflow
async def sums(ctx: WorkflowContext, number: int) -> int:
    """Use an activity, a timer, a child, several things at one time, and an event."""
    first = await ctx.call(double, number)
    await ctx.sleep(SOON)
    second, third = await ctx.gather(ctx.start(inner, number), ctx.call(double, first))
    return first + second + third + await ctx.wait(more)


def sum_of(number: int, event: int) -> int:
    """Return what `sums` must."""
    return 2 * number + 2 * number + 4 * number + event
