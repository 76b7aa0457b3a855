"""The app that is flooded: a thousand subscriptions, and a ledger of what they handled."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec

from daprflow import DaprFlow, Topic
from tests.faults.harness.ledger import Ledger
from tests.faults.harness.proof_app import LEDGER
from tests.helpers.kill_app import PROCESS

SUBSCRIPTIONS = 1_000


class Parcel(msgspec.Struct):
    """An event of some size."""

    number: int
    content: str


app = DaprFlow("flooded")
topics = [Topic("pubsub", f"topic{number}", Parcel) for number in range(SUBSCRIPTIONS)]


@app.provide
async def ledger() -> AsyncIterator[Ledger]:
    """Open the ledger of this process."""
    made = Ledger(Path(os.environ[LEDGER]), os.environ[PROCESS])
    made.open()
    yield made
    made.close()


async def take(parcel: Parcel, *, ledger: Ledger) -> None:
    """Note an event."""
    ledger.note("handled", parcel.number)


for topic in topics:
    app.topic(topic)(take)


@app.invoke
async def swallow(data: bytes) -> int:
    """Take a body of some length."""
    return len(data)
