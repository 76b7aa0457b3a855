"""Fifty workflows that break no rule: none of them may be refused, watched as they are."""

import asyncio
import dataclasses
import functools
import itertools
import json
import math
import re
import uuid
from collections import Counter, deque
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, NamedTuple

import msgspec

from daprflow import (
    Activity,
    ActivityFailed,
    DaprFlow,
    ExternalEvent,
    RetryPolicy,
    Workflow,
    WorkflowContext,
)

step: Activity[Any, Any] = Activity("", "step", Any, Any)
fails: Activity[Any, Any] = Activity("", "fails", Any, Any)
child: Workflow[Any, Any] = Workflow("", "child", Any, Any)
other: Activity[Any, Any] = Activity("elsewhere", "step", Any, Any)
approved = ExternalEvent("approved", bool)
NAMES = frozenset({"ann", "bob", "cho"})


class Order(msgspec.Struct):
    id: str
    lines: list[int] = []


class Colour(Enum):
    RED = "red"


class Point(NamedTuple):
    x: int
    y: int


@dataclasses.dataclass
class Basket:
    items: dict[str, int]


async def calls(ctx: WorkflowContext) -> Any:
    return await ctx.call(step, 1)


async def calls_in_order(ctx: WorkflowContext) -> Any:
    return [await ctx.call(step, number) for number in range(3)]


async def calls_at_once(ctx: WorkflowContext) -> Any:
    return await ctx.gather(*[ctx.call(step, number) for number in range(5)])


async def calls_nothing(ctx: WorkflowContext) -> None:
    await ctx.gather()


async def calls_branches(ctx: WorkflowContext) -> Any:
    async def branch(number: int) -> Any:
        return await ctx.call(step, await ctx.call(step, number))

    return await ctx.gather(branch(1), branch(2))


async def calls_helpers(ctx: WorkflowContext) -> Any:
    return await _helper(ctx, 1) + await _helper(ctx, 2)


async def calls_recursively(ctx: WorkflowContext) -> Any:
    async def down(number: int) -> Any:
        return 0 if not number else await ctx.call(step, number) + await down(number - 1)

    return await down(3)


async def calls_without_waiting(ctx: WorkflowContext) -> None:
    _ = ctx.call(step, 1)


async def calls_elsewhere(ctx: WorkflowContext) -> Any:
    return await ctx.call(other, 1)


async def calls_one_task_twice(ctx: WorkflowContext) -> Any:
    task = ctx.call(step, 1)
    return await task + await task


async def calls_after_failure(ctx: WorkflowContext) -> Any:
    try:
        await ctx.call(fails, 1)
    except ActivityFailed as error:
        return await ctx.call(step, error.type)


async def calls_with_retries(ctx: WorkflowContext) -> Any:
    with suppress(ActivityFailed):
        await ctx.call(fails, 1, retry=RetryPolicy(attempts=3, jitter=0.5))
    return "given up"


async def calls_in_finally(ctx: WorkflowContext) -> Any:
    try:
        return await ctx.call(step, 1)
    finally:
        await ctx.call(step, 2)


async def gathers_failures(ctx: WorkflowContext) -> Any:
    with suppress(ActivityFailed):
        await ctx.gather(ctx.call(step, 1), ctx.call(fails, 2))
    return "one failed"


async def gathers_gathers(ctx: WorkflowContext) -> Any:
    return await ctx.gather(
        ctx.gather(ctx.call(step, 1), ctx.call(step, 2)), ctx.gather(ctx.call(step, 3))
    )


async def gathers_errors(ctx: WorkflowContext) -> Any:
    found = await ctx.gather(ctx.call(step, 1), ctx.call(fails, 2), return_exceptions=True)
    return [type(each).__name__ for each in found]


async def maps(ctx: WorkflowContext) -> Any:
    return await ctx.map(step, (name for name in sorted(NAMES)), limit=2)


async def maps_children(ctx: WorkflowContext) -> Any:
    return await ctx.map(child, [1, 2, 3], limit=1, retry=RetryPolicy(attempts=2))


async def races_again_and_again(ctx: WorkflowContext) -> str:
    event = ctx.wait(approved)
    for _ in range(3):
        if await ctx.race(event, ctx.sleep(timedelta(minutes=1))) is event:
            return "came"
    return "never came"


async def sleeps(ctx: WorkflowContext) -> None:
    await ctx.sleep(timedelta(hours=1))


async def sleeps_until(ctx: WorkflowContext) -> None:
    await ctx.sleep(ctx.now + timedelta(minutes=1))


async def sleeps_in_turns(ctx: WorkflowContext) -> str:
    for days in (1, 2, 4):
        await ctx.sleep(timedelta(days=days))
    return ctx.now.date().isoformat()


async def races(ctx: WorkflowContext) -> str:
    late = ctx.sleep(timedelta(seconds=1))
    winner: Any = await ctx.race(ctx.sleep(timedelta(hours=1)), late)
    return "late" if winner is late else "first"


async def waits_in_vain(ctx: WorkflowContext) -> bool:
    return await ctx.wait(approved, timeout=timedelta(days=1), default=False)


async def waits_and_catches(ctx: WorkflowContext) -> str:
    try:
        await ctx.wait(approved, timeout=timedelta(days=1))
    except TimeoutError:
        return "late"
    return "in time"


async def waits_no_time(ctx: WorkflowContext) -> bool:
    return await ctx.wait(approved, timeout=timedelta(0), default=False)


async def starts_child(ctx: WorkflowContext) -> Any:
    return await ctx.start(child, 1)


async def starts_named_child(ctx: WorkflowContext) -> Any:
    return await ctx.start(child, 1, id=f"{ctx.id}-child")


async def starts_detached(ctx: WorkflowContext) -> str:
    return ctx.start(child, 1, detached=True)


async def compensates(ctx: WorkflowContext) -> str:
    try:
        async with ctx.saga() as saga:
            await ctx.call(step, 1)
            saga.undo(step, -1)
            await ctx.call(fails, 2)
    except ActivityFailed:
        return "undone"
    return "done"


async def compensates_nothing(ctx: WorkflowContext) -> Any:
    async with ctx.saga() as saga:
        saga.undo(step, -1)
        return await ctx.call(step, 1)


async def tells_time(ctx: WorkflowContext) -> str:
    return ctx.now.isoformat()


async def makes_datetimes(ctx: WorkflowContext) -> str:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    return (start + timedelta(days=1)).strftime("%Y-%m-%d") + str(datetime.fromtimestamp(0, UTC))


async def throws_dice(ctx: WorkflowContext) -> int:
    return ctx.random.randint(1, 6) + ctx.random.choice([1, 2])


async def shuffles(ctx: WorkflowContext) -> list[int]:
    numbers = list(range(10))
    ctx.random.shuffle(numbers)
    return await ctx.call(step, numbers)


async def makes_ids(ctx: WorkflowContext) -> Any:
    return await ctx.call(step, [str(ctx.uuid()), str(ctx.uuid())])


async def reads_ids(ctx: WorkflowContext) -> str:
    return (
        str(uuid.UUID("12345678123456781234567812345678")) + uuid.uuid5(uuid.NAMESPACE_DNS, "a").hex
    )


async def patches(ctx: WorkflowContext) -> Any:
    return await ctx.call(step, 2 if ctx.patched("two") else 1)


async def shows_status(ctx: WorkflowContext) -> None:
    ctx.status("at work")
    await ctx.call(step, 1)
    ctx.status({"done": 1})


async def logs(ctx: WorkflowContext) -> None:
    ctx.logger.info("before %s", ctx.id)
    await ctx.call(step, 1)
    ctx.logger.warning("after")


async def looks_at_replaying(ctx: WorkflowContext) -> Any:
    notes = [] if ctx.replaying else ["first"]
    result = await ctx.call(step, 1)
    return result if notes is not None else None


async def sorts_sets(ctx: WorkflowContext) -> Any:
    return [await ctx.call(step, name) for name in sorted(NAMES)]


async def asks_sets(ctx: WorkflowContext) -> Any:
    seen = set()
    for name in ["ann", "bob", "ann"]:
        if name not in seen:
            seen.add(name)
            await ctx.call(step, name)
    return len(seen | NAMES)


async def sums_sets(ctx: WorkflowContext) -> Any:
    return await ctx.call(step, sum(len(name) for name in NAMES))


async def goes_through_dicts(ctx: WorkflowContext) -> Any:
    totals = {}
    for name, number in {"ann": 1, "bob": 2}.items():
        totals[name] = await ctx.call(step, number)
    return totals


async def computes(ctx: WorkflowContext) -> float:
    return math.sqrt(await ctx.call(step, 16)) + float(Decimal("1.5"))


async def builds_texts(ctx: WorkflowContext) -> str:
    found = re.findall(r"\w+", json.dumps({"a": 1}))
    return ", ".join(itertools.chain(found, map(str, await ctx.call(step, [1]))))


async def counts(ctx: WorkflowContext) -> Any:
    queue = deque(Counter("hello").most_common(1))
    return await ctx.call(step, list(queue.popleft()))


async def uses_partials(ctx: WorkflowContext) -> Any:
    call = functools.partial(ctx.call, step)
    return await call(1)


async def passes_structs(ctx: WorkflowContext) -> Any:
    return await ctx.call(step, Order("o1", [1, 2]))


async def passes_dataclasses(ctx: WorkflowContext) -> Any:
    return await ctx.call(step, Basket({"tea": 1}))


async def passes_other_values(ctx: WorkflowContext) -> Any:
    return await ctx.call(step, [Colour.RED, Point(1, 2), ctx.now, timedelta(1), b"x", None])


async def passes_falsy_values(ctx: WorkflowContext) -> Any:
    values: list[Any] = [0, "", False, [], {}]
    return [await ctx.call(step, value) for value in values]


async def changes_what_it_was_given(ctx: WorkflowContext) -> Any:
    order = Order("o1", await ctx.call(step, [1]))
    order.lines.append(2)
    return await ctx.call(step, order.lines)


async def raises(ctx: WorkflowContext) -> Any:
    with suppress(ValueError):
        raise ValueError("caught here")
    return await ctx.call(step, 1)


async def looks_at_types(ctx: WorkflowContext) -> bool:
    return asyncio.iscoroutinefunction(calls) and isinstance(await ctx.call(step, 1), int)


async def _helper(ctx: WorkflowContext, number: int) -> Any:
    return await ctx.call(step, number)


GOOD = tuple(
    each
    for name, each in list(globals().items())
    if asyncio.iscoroutinefunction(each) and not name.startswith("_")
)


def good_app() -> DaprFlow:
    """An app with all of them."""
    app = DaprFlow("good")
    for each in GOOD:
        app.workflow(each)
    return app
