"""Thirty workflows that break a rule, each in the line that says so, with what is to be told."""

# ruff: noqa: ASYNC210, ASYNC221, ASYNC230, BLE001, DTZ005, DTZ011, PLC0208, PTH123, S311

import asyncio
import os
import random
import socket
import subprocess
import threading
import time
import urllib.request
import uuid
from datetime import date, datetime
from typing import Any

from daprflow import Activity, Client, DaprFlow, Endpoint, WorkflowContext

step: Activity[Any, Any] = Activity("", "step", Any, Any)
price = Endpoint("pricing", "price", int, int)
outside: Any = None
pause = time.sleep


async def clock(ctx: WorkflowContext) -> str:
    await ctx.call(step, 1)
    return str(time.time())  # BAD: ctx.now


async def clock_now(ctx: WorkflowContext) -> str:
    return datetime.now().isoformat()  # BAD: ctx.now


async def clock_today(ctx: WorkflowContext) -> str:
    await ctx.call(step, 1)
    return date.today().isoformat()  # BAD: ctx.now


async def clock_monotonic(ctx: WorkflowContext) -> float:
    return time.monotonic()  # BAD: ctx.now


async def clock_sleeps(ctx: WorkflowContext) -> None:
    pause(0.001)  # BAD: ctx.sleep


async def chance(ctx: WorkflowContext) -> float:
    await ctx.call(step, 1)
    return random.random()  # BAD: ctx.random


async def chance_choice(ctx: WorkflowContext) -> str:
    return random.choice(["a", "b"])  # BAD: ctx.random


async def chance_id(ctx: WorkflowContext) -> str:
    return str(uuid.uuid4())  # BAD: ctx.uuid()


async def chance_bytes(ctx: WorkflowContext) -> str:
    return os.urandom(4).hex()  # BAD: ctx.random


async def environment(ctx: WorkflowContext) -> str:
    return os.environ.get("HOME", "")  # BAD: environment


async def environment_getenv(ctx: WorkflowContext) -> str | None:
    await ctx.call(step, 1)
    return os.getenv("HOME")  # BAD: environment


async def environment_file(ctx: WorkflowContext) -> str:
    with open(os.devnull) as file:  # BAD: files
        return file.read()


async def network(ctx: WorkflowContext) -> None:
    socket.create_connection(("127.0.0.1", 1))  # BAD: the network


async def network_socket(ctx: WorkflowContext) -> None:
    await ctx.call(step, 1)
    socket.socket()  # BAD: the network


async def network_url(ctx: WorkflowContext) -> None:
    urllib.request.urlopen("http://127.0.0.1:1/")  # BAD: the


async def network_stream(ctx: WorkflowContext) -> None:
    await asyncio.open_connection("127.0.0.1", 1)  # BAD: open_connection


async def network_client(ctx: WorkflowContext) -> None:
    await Client().invoke(price, 1)  # BAD: the client


async def thread(ctx: WorkflowContext) -> None:
    threading.Thread(target=print).start()  # BAD: threads


async def thread_pooled(ctx: WorkflowContext) -> None:
    await asyncio.to_thread(print)  # BAD: to_thread


async def thread_process(ctx: WorkflowContext) -> None:
    await ctx.call(step, 1)
    subprocess.run(["true"], check=False)  # BAD: a workflow cannot use


async def foreign_sleep(ctx: WorkflowContext) -> None:
    await asyncio.sleep(1)  # BAD: ctx.sleep


async def foreign_sleep_nothing(ctx: WorkflowContext) -> None:
    await asyncio.sleep(0)  # BAD: ctx.sleep


async def foreign_gather(ctx: WorkflowContext) -> None:
    await asyncio.gather(ctx.call(step, 1), ctx.call(step, 2))  # BAD: ctx.gather


async def foreign_task(ctx: WorkflowContext) -> None:
    async with asyncio.TaskGroup() as group:  # BAD: ctx.gather
        group.create_task(_nothing())


async def foreign_timeout(ctx: WorkflowContext) -> None:
    async with asyncio.timeout(1):  # BAD: ctx.race
        await ctx.call(step, 1)


async def foreign_future(ctx: WorkflowContext) -> None:
    await ctx.call(step, 1)
    await outside  # BAD: event loop


async def foreign_swallowed(ctx: WorkflowContext) -> str:
    try:
        await asyncio.sleep(1)  # BAD: ctx.sleep
    except Exception:
        return "nothing happened"
    return "slept"


async def set_order(ctx: WorkflowContext) -> None:
    names = {"ann", "bob", "cho"}
    for name in names:
        await ctx.call(step, name)  # BAD: sorted


async def set_order_comprehension(ctx: WorkflowContext) -> None:
    tasks = [ctx.call(step, name) for name in {"ann", "bob"}]  # BAD: sorted
    await ctx.gather(*tasks)


async def unserialisable_input(ctx: WorkflowContext) -> None:
    await ctx.call(step, object())  # BAD: object


async def unserialisable_status(ctx: WorkflowContext) -> None:
    ctx.status([threading.Lock])  # BAD: type


async def unserialisable_restart(ctx: WorkflowContext) -> None:
    await ctx.call(step, 1)
    ctx.restart({"lock": threading.Lock()})  # BAD: the input of the next execution


async def unserialisable_undo(ctx: WorkflowContext) -> None:
    async with ctx.saga() as saga:
        saga.undo(step, object())  # BAD: object


async def _nothing() -> None:
    """Do nothing."""


BAD = tuple(
    each
    for name, each in list(globals().items())
    if asyncio.iscoroutinefunction(each) and not name.startswith("_")
)


def bad_app() -> DaprFlow:
    """An app with all of them."""
    app = DaprFlow("bad")
    for each in BAD:
        app.workflow(each)
    return app
