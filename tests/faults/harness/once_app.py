"""An app whose events are handled once; a file holds its handler up, to be killed inside of it."""

import asyncio
import os
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

from daprflow import DaprFlow, Topic
from daprflow.reliability import Once
from tests.faults.harness.ledger import Ledger
from tests.faults.harness.proof_app import LEDGER
from tests.helpers.kill_app import PROCESS

HOLD = "hold"
LEASE = timedelta(seconds=2)

app = DaprFlow("once")
numbers = Topic("pubsub", "numbers", int)


@app.provide
async def ledger() -> AsyncIterator[Ledger]:
    """Open the ledger of this process."""
    made = Ledger(Path(os.environ[LEDGER]), os.environ[PROCESS])
    made.open()
    yield made
    made.close()


@app.topic(numbers, dead_letter="dead", once=Once("statestore", lease=LEASE))
async def take(number: int, *, ledger: Ledger) -> None:
    """Note an event when its handling begins, and when it is done."""
    ledger.note("begun", number)
    while (Path(os.environ[LEDGER]) / HOLD).exists():  # noqa: ASYNC110 - another process makes it
        await asyncio.sleep(0.01)
    ledger.note("done", number)
