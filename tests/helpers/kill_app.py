"""An app whose workflows go on however often it is killed; its activities keep a ledger.

Served as a process of its own: ``KILLS_LEDGER`` is the folder of the ledger, ``KILLS_PROCESS`` the
name of the process. Those that kill it import it for its handles.
"""

import asyncio
import os
import threading
import zlib
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import msgspec

from daprflow import DaprFlow, ExternalEvent, WorkflowContext
from tests.helpers.kill_ledger import Ledger

STEPS = 5
"""How many activities every workflow has."""
STOP = "stop"
LEDGER, PROCESS = "KILLS_LEDGER", "KILLS_PROCESS"
NAP = timedelta(milliseconds=100)

app = DaprFlow("kills")
token = ExternalEvent("token", str)
forever = ExternalEvent("forever", str)


class Rounds(msgspec.Struct):
    """What came of the executions of a workflow that continues as new."""

    runs: list[str] = []
    seen: list[str] = []


def key(root: str, step: int) -> str:
    """Return what the ledger calls an activity."""
    return f"{root}/{step}"


@app.provide
async def ledger() -> AsyncIterator[Ledger]:
    """Open the ledger of this process."""
    made = Ledger(Path(os.environ[LEDGER]), os.environ[PROCESS])
    made.open()
    yield made
    made.close()


def _seconds(key: str) -> float:
    return zlib.crc32(key.encode()) % 50 / 1000


@app.activity
async def step(key: str, *, ledger: Ledger) -> str:
    """Take some time on the app's loop."""
    run = ledger.begin(key)
    await asyncio.sleep(_seconds(key))
    ledger.end(key, run)
    return run


@app.activity
def thread_step(key: str, *, ledger: Ledger) -> str:
    """Take some time in a thread."""
    run = ledger.begin(key)
    threading.Event().wait(_seconds(key))
    ledger.end(key, run)
    return run


@app.workflow
async def chain(ctx: WorkflowContext) -> list[str]:
    """Do one activity after the other."""
    return [
        await ctx.call(thread_step if number % 2 else step, key(ctx.id, number))
        for number in range(STEPS)
    ]


@app.workflow
async def fan(ctx: WorkflowContext) -> list[str]:
    """Do all activities at once."""
    return list(await ctx.gather(*[ctx.call(step, key(ctx.id, each)) for each in range(STEPS)]))


@app.workflow
async def naps(ctx: WorkflowContext) -> list[str]:
    """Wait between the activities; a timer that is early fails it."""
    runs = []
    for number in range(STEPS):
        due = ctx.now + NAP
        await ctx.sleep(NAP)
        if ctx.now < due:
            raise ValueError(f"a timer was early by {due - ctx.now}")
        runs.append(await ctx.call(step, key(ctx.id, number)))
    return runs


@app.workflow
async def kin(ctx: WorkflowContext, root: str) -> list[str]:
    """Do the activities of another workflow that it does not do itself."""
    return [await ctx.call(step, key(root, number)) for number in range(1, STEPS - 1)]


@app.workflow
async def family(ctx: WorkflowContext) -> list[str]:
    """Have most activities done by a child workflow."""
    first = await ctx.call(step, key(ctx.id, 0))
    middle = await ctx.start(kin, ctx.id)
    return [first, *middle, await ctx.call(step, key(ctx.id, STEPS - 1))]


@app.workflow
async def rounds(ctx: WorkflowContext, so_far: Rounds) -> Rounds:
    """Take a token and do an activity, then continue as new, until told to stop."""
    text = await ctx.wait(token)
    if text != STOP:
        runs, seen = so_far.runs, [*so_far.seen, text]
        if len(runs) < STEPS:
            runs = [*runs, await ctx.call(step, key(ctx.id, len(runs)))]
        ctx.restart(Rounds(runs, seen))
    return so_far


@app.workflow
async def waiting(ctx: WorkflowContext) -> None:
    """Wait for what never comes."""
    await ctx.wait(forever)


@app.workflow
async def doomed(ctx: WorkflowContext) -> None:
    """Wait for a child that waits for what never comes."""
    await ctx.call(step, key(ctx.id, 0))
    await ctx.start(waiting, id=child_of(ctx.id))


def child_of(root: str) -> str:
    """Return the id of the child of a doomed workflow."""
    return f"{root}-child"
