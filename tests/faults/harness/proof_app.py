"""The app that is killed and stopped; what its handlers do is in a ledger that outlives it.

Served as a process of its own: ``PROOF_LEDGER`` is the folder of the ledger, ``KILLS_PROCESS`` the
name of the process.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

from daprflow import Actor, DaprFlow, Topic, WorkflowContext
from tests.faults.harness.ledger import Ledger
from tests.helpers.kill_app import PROCESS

LEDGER = "PROOF_LEDGER"
SLOW = timedelta(milliseconds=20)
"""How long every tenth event takes, so that some are always in flight."""

app = DaprFlow("proof")
numbers = Topic("pubsub", "numbers", int)
dead = Topic("pubsub", "dead", int)
mixed = Topic("pubsub", "mixed", int)
bad = Topic("pubsub", "bad", int)


def is_bad(number: int) -> bool:
    """Whether an event of the mixed topic is one of a hundred that always fail."""
    return number > 0 and number % 100 == 0


@app.provide
async def ledger() -> AsyncIterator[Ledger]:
    """Open the ledger of this process."""
    made = Ledger(Path(os.environ[LEDGER]), os.environ[PROCESS])
    made.open()
    yield made
    made.close()


@app.topic(numbers, dead_letter="dead")
async def take(number: int, *, ledger: Ledger) -> None:
    """Note an event once it is handled."""
    if number % 10 == 0:
        await asyncio.sleep(SLOW.total_seconds())
    ledger.note("handled", number)


@app.topic(dead)
async def bury(number: int, *, ledger: Ledger) -> None:
    """Note an event that was given up."""
    ledger.note("dead", number)


@app.topic(mixed, dead_letter="bad")
async def take_good(number: int, *, ledger: Ledger) -> None:
    """Fail for some events, always."""
    ledger.note("tried", number)
    if is_bad(number):
        raise ValueError("it is a bad one")


@app.topic(bad)
async def take_bad(number: int, *, ledger: Ledger) -> None:
    """Note an event that was bad."""
    ledger.note("bad", number)


@app.invoke
async def echo(number: int) -> int:
    """Answer with what was asked."""
    return number


@app.actor
class CountActor(Actor[int]):
    """Counts."""

    async def up(self) -> int:
        """Add one."""
        self.state += 1
        return self.state


@app.activity
async def double(number: int) -> int:
    """Return twice as much."""
    return 2 * number


@app.workflow
async def doubled(ctx: WorkflowContext, number: int) -> int:
    """Have an activity double a number."""
    return await ctx.call(double, number)
