"""From an order to a course that is paid for: a workflow that undoes what it did when it fails."""

from datetime import timedelta

from daprflow import ActivityFailed, Client, DaprFlow, RetryPolicy, WorkflowContext

from .contracts import (
    DEAD,
    STORE,
    Bill,
    Order,
    Outcome,
    StudyRoom,
    charge,
    ended,
    placed,
    refund,
    release,
    reserve,
    room,
)

app = DaprFlow("orders")

HOPELESS = ("LookupError", "SoldOutError", "DeclinedError", "AlreadyEnrolledError")
patience = RetryPolicy(
    attempts=50,
    first=timedelta(milliseconds=200),
    backoff=2,
    maximum=timedelta(seconds=5),
    never=HOPELESS,
)


class AlreadyEnrolledError(Exception):
    """The student has this course by another order."""


@app.topic(placed, dead_letter=DEAD)
async def on_placed(order: Order, *, client: Client) -> None:
    await client.start(fulfil, order, id=order.id, attach=True)  # delivered twice, started once


# --8<-- [start:saga]
@app.workflow
async def fulfil(ctx: WorkflowContext, order: Order) -> Outcome:
    end = Outcome(order.id, order.student, order.course, "fulfilled")
    try:
        async with ctx.saga() as saga:
            # how to undo a step is said before it: of one that failed nobody knows how far it got
            saga.undo(release, order, retry=patience)
            end.paid = await ctx.call(reserve, order, retry=patience)
            bill = Bill(order.id, order.student, end.paid)
            saga.undo(refund, bill, retry=patience)
            await ctx.call(charge, bill, retry=patience)
            saga.undo(leave, order, retry=patience)
            await ctx.call(enrol, order, retry=patience)
    except ActivityFailed as failed:
        end = Outcome(order.id, order.student, order.course, "cancelled", reason=failed.type)
    await ctx.call(conclude, end, retry=patience)
    return end


# --8<-- [end:saga]


@app.activity
async def enrol(order: Order, *, client: Client) -> None:
    if not await client.actor(StudyRoom, room(order.student, order.course)).enrol(order):
        raise AlreadyEnrolledError("the student has this course already")


@app.activity
async def leave(order: Order, *, client: Client) -> None:
    await client.actor(StudyRoom, room(order.student, order.course)).leave(order)


@app.activity
async def conclude(end: Outcome, *, client: Client) -> None:
    await client.state(STORE).set(f"outcome:{end.order}", end)
    await client.publish(ended, end, id=end.order)


@app.invoke
async def outcome(order_id: str, *, client: Client) -> Outcome:
    found = await client.state(STORE).get(f"outcome:{order_id}", Outcome)
    return found.value if found else Outcome(order_id)
