"""A process that publishes and stores numbers until it is killed; it prints what was accepted.

    python writer_process.py FOLDER

Only run as a process of its own, by tests that kill it.
"""

import asyncio
import itertools
import sys
from pathlib import Path
from typing import cast

from daprflow.sidecar.clock import SystemClock
from daprflow.sidecar.components.base import (
    ComponentContext,
    Message,
    PubSub,
    StateStore,
    StateWrite,
)
from daprflow.sidecar.components.registry import COMPONENTS

TOPIC = "numbers"
CONSUMER = "reader"
WRITERS = 8


def made_from(root: Path, kind: str) -> ComponentContext:
    """Return what a component of this test is made from."""
    return ComponentContext(
        name="it",
        type=kind,
        version="v1",
        metadata={"connectionstring": "state.db"},
        app_id="app1",
        clock=SystemClock(),
        data_dir=root,
        base_dir=root,
    )


async def never(message: Message) -> None:
    """Keep a message for ever."""
    await asyncio.Event().wait()


async def main(root: Path) -> None:
    """Publish and store without end."""
    broker = cast("PubSub", COMPONENTS["pubsub.daprflow"](made_from(root, "pubsub.daprflow")))
    store = cast("StateStore", COMPONENTS["state.sqlite"](made_from(root, "state.sqlite")))
    await broker.open()
    await store.open()
    await broker.subscribe(TOPIC, CONSUMER, {}, never)
    numbers = itertools.count()

    async def write() -> None:
        for number in numbers:
            await broker.publish(Message(TOPIC, b"%d" % number))
            await store.write(StateWrite(str(number), b"%d" % number))
            sys.stdout.write(f"{number}\n")
            sys.stdout.flush()

    await asyncio.gather(*(write() for _ in range(WRITERS)))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
