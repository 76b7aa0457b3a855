"""An app that runs several times and is killed; what it handles stands in a ledger of lines.

Served as a process of its own: ``REPLICAS_LEDGER`` is the folder of the ledger.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

from daprflow import Actor, DaprFlow, WorkflowContext

LEDGER = "REPLICAS_LEDGER"
TICKS = 5
STEPS = 4
PAUSE = 0.01

app = DaprFlow("shop")


class Ledger:
    """The lines of this process; each is in the file when `note` returns."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = -1

    def open(self) -> None:
        """Make the file, and say which sidecar this process has."""
        path = self._folder / f"{os.getpid()}.ledger"
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self.note(f"sidecar {os.environ['DAPR_HTTP_PORT']}")

    def note(self, line: str) -> None:
        """Write a line."""
        os.write(self._file, f"{line}\n".encode())

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


@app.provide
async def ledger() -> AsyncIterator[Ledger]:
    """Open the ledger of this process."""
    made = Ledger(Path(os.environ[LEDGER]))
    made.open()
    yield made
    made.close()


@app.topic("pubsub", "orders")
async def on_order(number: int, *, ledger: Ledger) -> None:
    """Take a little time for an event."""
    await asyncio.sleep(PAUSE)
    ledger.note(f"event {number}")


@app.job("sweep")
async def sweep(*, ledger: Ledger) -> None:
    """Note a tick."""
    ledger.note("job")


@app.invoke("PUT", "/buy")
async def buy(number: int, *, ledger: Ledger) -> int:
    """Answer a call of another app."""
    ledger.note(f"call {number}")
    return number


@app.actor
class Cart(Actor[dict[str, int]]):
    """Counts the ticks of its reminder."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def watch(self) -> None:
        """Begin."""
        period = timedelta(seconds=1)
        await self.remind(self.tick, due=period, every=period, repeats=TICKS)

    async def tick(self) -> None:
        """Count one, in the actor's own state."""
        count = self.state["ticks"] = self.state.get("ticks", 0) + 1
        await asyncio.sleep(PAUSE)
        self._ledger.note(f"tick {self.id} {count}")


@app.activity
async def step(name: str, *, ledger: Ledger) -> str:
    """Do a step of a workflow."""
    await asyncio.sleep(PAUSE)
    ledger.note(f"step {name}")
    return name


@app.workflow
async def chain(ctx: WorkflowContext) -> list[str]:
    """Do the steps one after the other."""
    return [await ctx.call(step, f"{ctx.id}/{number}") for number in range(STEPS)]
