"""A certificate for each course that was completed."""

from starlette.exceptions import HTTPException

from daprflow import Client, DaprFlow

from . import contracts
from .contracts import DEAD, STORE, Certificate, Completed, Mail, completed, mails

app = DaprFlow("certificates")


@app.topic(completed, dead_letter=DEAD)
async def on_completed(event: Completed, *, client: Client) -> None:
    key = f"{event.student}:{event.course}"
    course = await client.invoke(contracts.course, event.course)
    issued = Certificate(event.student, event.course, course.title)
    await client.state(STORE).set(key, issued)  # a second time it is the same one
    text = f"You have completed '{course.title}'"
    await client.publish(mails, Mail(f"certificate-{key}", event.student, text))


@app.invoke
async def certificate(of: Completed, *, client: Client) -> Certificate:
    found = await client.state(STORE).get(f"{of.student}:{of.course}", Certificate)
    if found is None:
        raise HTTPException(404, "no certificate yet")
    return found.value
