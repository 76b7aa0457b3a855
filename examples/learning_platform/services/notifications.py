"""Sends mails, each once, and keeps the events that nobody could handle for a person to look at."""

from datetime import timedelta

from daprflow import Client, CloudEvent, DaprFlow, Topic
from daprflow.reliability import Once

from .contracts import DEAD, STORE, Mail, Outcome, ended, mails

app = DaprFlow("notifications")

dead_letters = Topic("pubsub", DEAD, bytes)


def by_mail(event: CloudEvent[Mail]) -> str:
    return event.data.id


# --8<-- [start:once]
@app.topic(
    mails,
    dead_letter=DEAD,
    once=Once(STORE, window=timedelta(days=7), key=by_mail, lease=timedelta(seconds=5)),
)
async def on_mail(mail: Mail, *, client: Client) -> None:
    await client.bind(
        "mailer", "create", mail.text, metadata={"emailTo": mail.to, "fileName": mail.id}
    )
    print(f"mail to {mail.to}: {mail.text}", flush=True)


# --8<-- [end:once]


@app.topic(ended, dead_letter=DEAD)
async def on_ended(end: Outcome, *, client: Client) -> None:
    text = f"Your order of '{end.course}' is {end.state}"
    await client.publish(mails, Mail(f"order-{end.order}", end.student, text))


# --8<-- [start:dead]
@app.topic(dead_letters)
async def on_dead(event: CloudEvent[bytes], *, client: Client) -> None:
    await client.state(STORE).update(
        "dead", list[str], lambda kept: sorted({*(kept or []), event.id})
    )
    print(f"event {event.id} needs a person", flush=True)


@app.invoke
async def dead(*, client: Client) -> list[str]:
    found = await client.state(STORE).get("dead", list[str])
    return found.value if found else []


# --8<-- [end:dead]
