"""Study rooms: an actor for each student in each course, which notices when somebody stays away."""

from datetime import timedelta

import msgspec

from daprflow import Actor, Client, DaprFlow

from .contracts import Mail, Order, Watched, mails, watched

app = DaprFlow("lessons")

SILENCE = timedelta(days=3)


class Study(msgspec.Struct):
    order: Order | None = None
    lessons: set[int] = set()


@app.actor(idle=timedelta(minutes=30))
class StudyRoom(Actor[Study]):
    def __init__(self, client: Client) -> None:
        self.client = client

    async def enrol(self, order: Order) -> bool:
        if self.state.order not in (None, order):
            return False
        self.state.order = order
        await self.remind(self.nudge, due=SILENCE)
        return True

    async def leave(self, order: Order) -> None:
        if self.state.order == order:
            self.state = Study()
            await self.unremind(self.nudge)

    async def watch(self, lesson: int) -> int | None:
        if (order := self.state.order) is None:
            return None
        self.state.lessons.add(lesson)
        await self.remind(self.nudge, due=SILENCE)
        await self.client.publish(watched, Watched(order.student, order.course, lesson))
        return len(self.state.lessons)

    async def nudge(self) -> None:
        if (order := self.state.order) is not None:
            name = f"nudge-{order.id}-{len(self.state.lessons)}"
            text = f"We miss you in '{order.course}'"
            await self.client.publish(mails, Mail(name, order.student, text))
