"""What the services say to each other: each address once, with its types.

Every service imports this module and no other service, so that each can move to a repository of
its own together with a copy of it.
"""

from typing import Annotated, Literal

import msgspec

from daprflow import Activity, ActorInterface, Endpoint, Topic

STORE = "statestore"
DEAD = "dead-letters"
"""The topic of all events that nobody could handle; `notifications` looks after it."""

Id = Annotated[str, msgspec.Meta(pattern=r"^[\w-]{1,64}\Z")]
"""Keys and names are made of several of these, so dots and colons are none of theirs."""


class Course(msgspec.Struct):
    id: str
    title: str
    price: int
    seats: int
    lessons: int


class Order(msgspec.Struct):
    """A student wants to take a course.

    Whoever orders chooses an id that nobody else has, and uses it again when no answer came: two
    orders with the same id are one.
    """

    id: Id
    student: Id
    course: Id


class Bill(msgspec.Struct):
    order: str
    student: str
    amount: int


class Receipt(msgspec.Struct):
    order: str
    amount: int
    signature: str
    refunded: bool = False


class Outcome(msgspec.Struct):
    """Where an order stands; every order ends in one of two ways."""

    order: str
    student: str = ""
    course: str = ""
    state: Literal["open", "fulfilled", "cancelled"] = "open"
    paid: int = 0
    reason: str = ""


class Watched(msgspec.Struct):
    """A lesson of a course; the first one is 1."""

    student: Id
    course: Id
    lesson: Annotated[int, msgspec.Meta(ge=1)]


class Completed(msgspec.Struct):
    student: Id
    course: Id


class Certificate(msgspec.Struct):
    student: str
    course: str
    title: str


class Mail(msgspec.Struct):
    """A mail; one with the same id is sent once."""

    id: str
    to: str
    text: str


# events
placed = Topic("pubsub", "orders-placed", Order)
ended = Topic("pubsub", "orders-ended", Outcome)
watched = Topic("pubsub", "lessons-watched", Watched)
completed = Topic("pubsub", "courses-completed", Completed)
mails = Topic("pubsub", "mails", Mail)

# calls
course = Endpoint("catalog", "course", str, Course)
outcome = Endpoint("orders", "outcome", str, Outcome)
certificate = Endpoint("certificates", "certificate", Completed, Certificate)

# steps of the workflow in `orders` that other services do
reserve = Activity("catalog", "reserve", Order, int)
release = Activity("catalog", "release", Order, None)
charge = Activity("payments", "charge", Bill, Receipt)
refund = Activity("payments", "refund", Bill, None)


class StudyRoom(ActorInterface, actor_type="StudyRoom"):
    """One student in one course; an actor of `lessons`."""

    async def enrol(self, order: Order) -> bool:
        """Let the student in; False where another order did so before."""
        raise NotImplementedError

    async def leave(self, order: Order) -> None:
        """Forget an order; one that is not here is no mistake."""
        raise NotImplementedError

    async def watch(self, lesson: int) -> int | None:
        """Return how many lessons were watched; None where nobody is enrolled."""
        raise NotImplementedError


def room(student: str, course_id: str) -> str:
    """Return the id of a study room."""
    return f"{student}.{course_id}"
