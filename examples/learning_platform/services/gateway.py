"""The public door: what browsers and phones call."""

import msgspec
from starlette.exceptions import HTTPException

from daprflow import Client, DaprFlow, InvocationError

from . import contracts
from .contracts import Certificate, Completed, Course, Order, Outcome, StudyRoom, Watched, placed

app = DaprFlow("gateway")


@app.on_error(InvocationError)
def pass_on(error: InvocationError) -> None:
    """What a service refuses, the gateway refuses too; a failure of a service stays a failure."""
    if error.status in range(400, 500):
        raise HTTPException(error.status, "refused")


class Accepted(msgspec.Struct):
    order: str


@app.invoke("GET", "/courses/{course_id}")
async def course(*, course_id: str, client: Client) -> Course:
    return await client.invoke(contracts.course, course_id)


@app.invoke("POST", "/orders", status=202)
async def order(order: Order, *, client: Client) -> Accepted:
    await client.publish(placed, order, id=order.id)  # accepted means: the broker has it
    return Accepted(order.id)


@app.invoke("GET", "/orders/{order_id}")
async def outcome(*, order_id: str, client: Client) -> Outcome:
    return await client.invoke(contracts.outcome, order_id)


@app.invoke("POST", "/lessons")
async def watch(lesson: Watched, *, client: Client) -> int:
    study = client.actor(StudyRoom, contracts.room(lesson.student, lesson.course))
    if (seen := await study.watch(lesson.lesson)) is None:
        raise HTTPException(403, "order the course first")
    return seen


@app.invoke("GET", "/certificates/{student}/{course_id}")
async def certificate(*, student: str, course_id: str, client: Client) -> Certificate:
    return await client.invoke(contracts.certificate, Completed(student, course_id))
