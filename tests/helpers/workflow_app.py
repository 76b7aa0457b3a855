"""An app with workflows, for tests that run it as a process or beside the test kit."""

from collections import Counter
from datetime import timedelta

import msgspec

from daprflow import (
    Activity,
    ActivityFailed,
    DaprFlow,
    ExternalEvent,
    RetryPolicy,
    Workflow,
    WorkflowContext,
    WorkflowFailed,
)

app = DaprFlow("workflow-app")
SOON = timedelta(milliseconds=200)
LATER = timedelta(hours=1)


class Order(msgspec.Struct):
    """An input, a result, and what an event brings."""

    id: str
    total: int


class Tries:
    """How often activities were tried, by key."""

    def __init__(self) -> None:
        self.of = Counter[str]()


approved = ExternalEvent("Approved", bool)
added = ExternalEvent("added", Order)
remote_double = Activity("workflow-other", "remote_double", int, int)
remote_order = Workflow("workflow-other", "remote_order", Order, Order)
TRIES = Tries()


@app.provide
def tries() -> Tries:
    """Give what counts attempts."""
    return TRIES


@app.activity
async def double(number: int) -> int:
    """Double a number."""
    return number * 2


@app.activity
def doubled(order: Order) -> Order:
    """Double an order, in a thread."""
    return Order(order.id, order.total * 2)


@app.activity
async def echo(texts: list[str]) -> list[str]:
    """Return what came."""
    return texts


@app.activity
async def third_time(key: str, *, tries: Tries) -> int:
    """Succeed when tried for the third time."""
    tries.of[key] += 1
    if tries.of[key] < 3:
        raise ValueError(f"{key} was tried {tries.of[key]} times")
    return tries.of[key]


@app.activity
async def note(key: str, *, tries: Tries) -> None:
    """Count a key."""
    tries.of[key] += 1


@app.activity
async def noted(key: str, *, tries: Tries) -> int:
    """Return how often a key was noted."""
    return tries.of[key]


@app.activity
async def refuse(order: Order) -> None:
    """Raise an error that has a cause."""
    known: dict[str, Order] = {}
    try:
        known[order.id].total += 1
    except KeyError as error:
        raise ValueError(f"no order '{order.id}'") from error


@app.workflow
async def chain(ctx: WorkflowContext, length: int) -> int:
    """Call one activity after the other."""
    number = 1
    for _ in range(length):
        number = await ctx.call(double, number)
    return number


@app.workflow
async def fan(ctx: WorkflowContext, width: int) -> list[int]:
    """Call many activities at once, as tasks and as branches."""

    async def branch(number: int) -> int:
        return await ctx.call(double, await ctx.call(double, number))

    tasks = await ctx.gather(*[ctx.call(double, each) for each in range(width)])
    return [*tasks, *await ctx.gather(branch(100), branch(200))]


@app.workflow
async def parent(ctx: WorkflowContext, order: Order) -> list[Order]:
    """Run a child that is awaited, one with an id of its own, and one that nobody waits for."""
    first = await ctx.start(child, order)
    second = await ctx.start(child, first, id=f"{ctx.id}-second")
    ctx.start(child, second, id=f"{ctx.id}-alone", detached=True)
    return [first, second]


@app.workflow
async def child(ctx: WorkflowContext, order: Order) -> Order:
    """Double an order."""
    return await ctx.call(doubled, order)


@app.workflow
async def patient(ctx: WorkflowContext, order: Order) -> str:
    """Wait for events, some of which never come."""
    try:
        await ctx.wait(approved, timeout=SOON)
    except TimeoutError:
        ctx.status({"late": order.id})
    if await ctx.wait(approved, timeout=SOON, default=False):
        return "too early"
    more = await ctx.wait(added, timeout=LATER)
    return f"{order.id} {order.total + more.total}"


@app.workflow
async def racer(ctx: WorkflowContext, seconds: float) -> str:
    """Have a timer and an event race."""
    late = ctx.sleep(timedelta(seconds=seconds))
    answer = ctx.wait(approved)
    winner = await ctx.race(late, answer)
    return "late" if winner is late else f"answered {await answer}"


@app.workflow
async def counter(ctx: WorkflowContext, total: int) -> int:
    """Begin anew after each event, with those that came meanwhile."""
    order = await ctx.wait(added)
    if order.id != "last":
        ctx.restart(total + order.total)
    return total + order.total


@app.workflow
async def forgetful(ctx: WorkflowContext, round_number: int) -> Order:
    """Begin anew without the events that came meanwhile."""
    if round_number == 0:
        await ctx.wait(approved)
        ctx.restart(1, keep_events=False)
    return await ctx.wait(added, timeout=SOON, default=Order("none", 0))


@app.workflow
async def determined(ctx: WorkflowContext) -> list[str]:
    """Return what is the same however often this is replayed, and how long a timer took."""
    began = ctx.now
    seen = [str(ctx.uuid()), str(ctx.random.random()), began.isoformat()]
    again = await ctx.call(echo, seen)
    await ctx.sleep(SOON)
    slept = ctx.now - began
    return [str(again == seen), str(slept >= SOON), str(ctx.uuid() == ctx.uuid()), ctx.id]


@app.workflow
async def retrying(ctx: WorkflowContext, key: str) -> list[int]:
    """Try activities and children more than once."""
    policy = RetryPolicy(attempts=3, first=timedelta(milliseconds=50), backoff=2)
    called = await ctx.call(third_time, f"{key} activity", retry=policy)
    return [called, await ctx.start(stubborn, f"{key} child", retry=policy)]


@app.workflow
async def stubborn(ctx: WorkflowContext, key: str) -> int:
    """Succeed when tried for the third time."""
    return await ctx.call(third_time, key)


@app.workflow
async def failing(ctx: WorkflowContext, order: Order) -> None:
    """Fail as an activity does."""
    await ctx.call(refuse, order)


@app.workflow
async def failing_child(ctx: WorkflowContext, order: Order) -> list[str]:
    """Tell why a child and an activity failed."""
    told = []
    try:
        await ctx.start(failing, order)
    except WorkflowFailed as error:
        told.append(error.type)
    try:
        await ctx.call(refuse, order)
    except ActivityFailed as error:
        cause = error.failure.cause
        told += [error.type, error.message, cause.type if cause else "no cause"]
    return told


@app.workflow
async def undoing(ctx: WorkflowContext, key: str) -> str:
    """Take back what was done."""
    try:
        async with ctx.saga() as saga:
            saga.undo(note, f"{key} first")
            saga.undo(note, f"{key} second")
            await ctx.call(refuse, Order(key, 0))
    except ActivityFailed as error:
        undone = await ctx.gather(ctx.call(noted, f"{key} first"), ctx.call(noted, f"{key} second"))
        return f"{error.type} {undone}"
    return "nothing failed"


@app.workflow
async def patched(ctx: WorkflowContext) -> list[bool]:
    """Tell which way of changes it takes, more than once."""
    first = ctx.patched("one")
    await ctx.call(double, 1)
    return [first, ctx.patched("one"), ctx.patched("two")]


@app.workflow(name="versioned", version="1")
async def versioned_1(ctx: WorkflowContext) -> str:
    """An older version."""
    await ctx.call(double, 1)
    return f"old {ctx.version}"


@app.workflow(name="versioned", version="2", default=True)
async def versioned_2(ctx: WorkflowContext) -> str:
    """What new instances run."""
    await ctx.call(double, 2)
    return f"new {ctx.version}"


@app.workflow
async def waiting(ctx: WorkflowContext, order: Order) -> int:
    """Have a child wait, and wait for an event."""
    ctx.start(waiting_child, order, id=f"{ctx.id}-child", detached=True)
    ctx.status("waiting")
    return (await ctx.wait(added)).total


@app.workflow
async def waiting_child(ctx: WorkflowContext, order: Order) -> str:
    """Wait for an event that never comes."""
    await ctx.wait(approved)
    return order.id


@app.workflow
async def adding(ctx: WorkflowContext, start: int) -> int:
    """Two steps, of which the second can be done again."""
    first = await ctx.call(double, start)
    return first + await ctx.call(double, first)


@app.workflow
async def remote(ctx: WorkflowContext, order: Order) -> list[int]:
    """Use an activity and a workflow of another app."""
    result = await ctx.start(remote_order, order)
    return [await ctx.call(remote_double, order.total), result.total]
