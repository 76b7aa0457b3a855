"""Jobs: a report every night, as the code says, and reminders that are scheduled one by one."""

# --8<-- [start:standing]
from datetime import datetime, timedelta

import msgspec

from daprflow import Client, ConstantFailurePolicy, DaprFlow, DropFailurePolicy, Retry


class Limits(msgspec.Struct):
    daily: int


class Reminder(msgspec.Struct):
    order: str
    text: str


class Booking(msgspec.Struct):
    order: str
    at: datetime


class Outbox:
    def __init__(self) -> None:
        self.sent: list[str] = []
        self.down = False

    def send(self, text: str) -> None:
        """Send, or ask for the tick again."""
        if self.down:
            raise Retry("the mail server is down")
        self.sent.append(text)
        print(text)


app = DaprFlow("jobs-example")


@app.provide
def outbox() -> Outbox:
    return Outbox()


@app.job("report", schedule="0 0 3 * * *", data=Limits(daily=1))
async def report(limits: Limits, *, outbox: Outbox) -> None:
    outbox.send(f"report, at most {limits.daily} a day")


@app.job("sweep", schedule="@every 1h", failure_policy=DropFailurePolicy())
async def sweep(*, outbox: Outbox) -> None:
    outbox.send("swept")


# --8<-- [end:standing]


# --8<-- [start:schedule]
@app.job("remind")
async def remind(reminder: Reminder, *, outbox: Outbox) -> None:
    outbox.send(f"{reminder.order}: {reminder.text}")


@app.invoke
async def book(booking: Booking, *, client: Client) -> None:
    await client.schedule(
        remind,
        Reminder(booking.order, "it is today"),
        due=booking.at,
        failure_policy=ConstantFailurePolicy(timedelta(minutes=1), max_retries=10),
    )


@app.invoke
async def cancel(*, client: Client) -> bool:
    waiting = await client.job(remind)
    await client.delete_job(remind)
    return waiting is not None


@app.invoke
async def sent(*, outbox: Outbox) -> list[str]:
    return outbox.sent


# --8<-- [end:schedule]
