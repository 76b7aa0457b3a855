"""Measured: a daprflow application with workflows; each figure is a method that can be invoked."""

import asyncio
import time
from itertools import pairwise
from typing import Any

from benchmarks.messages import WorkflowSteps
from daprflow import Client, DaprFlow, ExternalEvent, Workflow, WorkflowContext

app = DaprFlow("bench")
go = ExternalEvent("go", bool)
moments: list[float] = []
"""When the activities ran that note it."""


@app.activity
async def step(number: int) -> int:
    """Do next to nothing."""
    return number + 1


@app.activity
async def stamped(number: int) -> int:
    """Note when it ran."""
    moments.append(time.perf_counter())
    return number


@app.workflow
async def chain(ctx: WorkflowContext, count: int) -> int:
    """Call one activity after the other."""
    number = 0
    for _ in range(count):
        number = await ctx.call(step, number)
    return number


@app.workflow
async def fan(ctx: WorkflowContext, count: int) -> int:
    """Call activities at once."""
    return len(await ctx.gather(*(ctx.call(step, number) for number in range(count))))


@app.workflow
async def long(ctx: WorkflowContext, count: int) -> int:
    """Call one activity after the other, which note when they run."""
    for number in range(count):
        await ctx.call(stamped, number)
    return count


@app.workflow
async def waiter(ctx: WorkflowContext, number: int) -> int:
    """Wait for an event, after a step."""
    await ctx.call(stamped, number)
    await ctx.wait(go)
    return number


async def _run(client: Client, workflow: Workflow[int, int], number: int) -> int:
    run = await client.start(workflow, number)
    return await run.result()


async def _timed(client: Client, workflow: Any, number: int, runs: int = 1) -> float:
    began = time.perf_counter()
    results = await asyncio.gather(*(_run(client, workflow, number) for _ in range(runs)))
    if results != [number] * runs:
        raise AssertionError(f"a workflow came to something else: {results}")
    return time.perf_counter() - began


@app.invoke
async def time_chain(count: int, *, client: Client) -> float:
    """Return the seconds that a chain takes."""
    return await _timed(client, chain, count)


@app.invoke
async def time_fan(count: int, *, client: Client) -> float:
    """Return the seconds that activities take which are called at once."""
    return await _timed(client, fan, count)


@app.invoke
async def time_many(count: int, *, client: Client) -> float:
    """Return the seconds that workflows of three activities take which are started at once."""
    return await _timed(client, chain, 3, count)


@app.invoke
async def time_long(count: int, *, client: Client) -> WorkflowSteps:
    """Return what the steps of a long chain take."""
    moments.clear()
    seconds = await _timed(client, long, count)
    return WorkflowSteps(seconds, tuple(b - a for a, b in pairwise(moments)))


@app.invoke
async def wait_many(count: int, *, client: Client) -> int:
    """Start workflows that wait, a hundred at a time; done when all of them are about to."""
    moments.clear()
    while len(moments) < count:
        numbers = range(len(moments), min(count, len(moments) + 100))
        await asyncio.gather(*(client.start(waiter, number) for number in numbers))
        while len(moments) < numbers.stop:  # noqa: ASYNC110 - where time is not measured
            await asyncio.sleep(0.01)
    return count
