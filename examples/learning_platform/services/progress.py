"""How far each student is; who has seen every lesson has completed the course."""

import msgspec

from daprflow import Client, DaprFlow

from . import contracts
from .contracts import DEAD, STORE, Completed, Watched, completed, watched

app = DaprFlow("progress")


class Progress(msgspec.Struct):
    lessons: set[int] = set()


@app.topic(watched, dead_letter=DEAD)
async def on_watched(event: Watched, *, client: Client) -> None:
    def seen(before: Progress | None) -> Progress:
        # a set stays as it is when the event comes twice, so nothing else has to be remembered
        return Progress((before.lessons if before else set()) | {event.lesson})

    key = f"{event.student}:{event.course}"
    after = await client.state(STORE).update(key, Progress, seen)
    course = await client.invoke(contracts.course, event.course)
    if after.lessons.issuperset(range(1, course.lessons + 1)):
        done = Completed(event.student, event.course)
        await client.publish(completed, done, id=key)


@app.invoke
async def lessons(of: Completed, *, client: Client) -> int:
    found = await client.state(STORE).get(f"{of.student}:{of.course}", Progress)
    return len(found.value.lessons) if found else 0
