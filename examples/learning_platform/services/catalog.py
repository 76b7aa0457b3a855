"""The courses, what they cost, and who has a seat."""

import msgspec
from starlette.exceptions import HTTPException

from daprflow import Client, DaprFlow

from .contracts import STORE, Course, Order

app = DaprFlow("catalog")

COURSES = {
    each.id: each
    for each in (
        Course("python", "Python from the start", price=30, seats=1000, lessons=3),
        Course("sailing", "Sailing for two", price=50, seats=2, lessons=2),
        Course("opera", "Singing at the opera", price=400, seats=100, lessons=12),
    )
}


class Seats(msgspec.Struct):
    orders: list[str] = []


class SoldOutError(Exception):
    """Every seat of the course is taken."""


@app.invoke
async def course(course_id: str) -> Course:
    if (found := COURSES.get(course_id)) is None:
        raise HTTPException(404, "no such course")
    return found


@app.invoke
async def taken(course_id: str, *, client: Client) -> list[str]:
    """Return the orders that have a seat."""
    seats = await client.state(STORE).get(f"seats:{course_id}", Seats)
    return seats.value.orders if seats else []


@app.activity
async def reserve(order: Order, *, client: Client) -> int:
    """Take a seat and return the price; a second time it is the same seat."""
    if (wanted := COURSES.get(order.course)) is None:
        raise LookupError("no such course")

    def with_it(seats: Seats | None) -> Seats:
        orders = seats.orders if seats else []
        if order.id in orders:
            return Seats(orders)
        if len(orders) == wanted.seats:
            raise SoldOutError(f"all {wanted.seats} seats are taken")
        return Seats([*orders, order.id])

    await client.state(STORE).update(f"seats:{order.course}", Seats, with_it)
    return wanted.price


@app.activity
async def release(order: Order, *, client: Client) -> None:
    """Give a seat back; one that was never taken is no mistake."""

    def without_it(seats: Seats | None) -> Seats:
        return Seats([each for each in (seats.orders if seats else []) if each != order.id])

    await client.state(STORE).update(f"seats:{order.course}", Seats, without_it)
