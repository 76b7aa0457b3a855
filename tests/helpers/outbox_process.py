"""A process that stores numbers with an outbox until it is killed; it prints what was accepted.

    python outbox_process.py FOLDER

Only run as a process of its own, by tests that kill it.
"""

import asyncio
import itertools
import sys
from pathlib import Path

from daprflow.protocol.resources import ComponentResource, MetadataItem
from daprflow.sidecar.blocks.state import StateChange
from daprflow.sidecar.clock import Clock, SystemClock
from daprflow.sidecar.engine import Engine
from daprflow.sidecar.options import RuntimeOptions
from daprflow.sidecar.resources import Resources
from daprflow.sidecar.runtime import Runtime

TOPIC = "numbers"
WRITERS = 8
METADATA = {
    "connectionString": "state.db",
    "outboxPublishPubsub": "broker",
    "outboxPublishTopic": TOPIC,
}


def made_runtime(root: Path, clock: Clock) -> Runtime:
    """Return the sidecar of this test, not opened yet."""
    items = tuple(MetadataItem(name, value) for name, value in METADATA.items())
    store = ComponentResource("store", "state.sqlite", metadata=items)
    broker = ComponentResource("broker", "pubsub.daprflow")
    engine = Engine(clock, root, root)
    return Runtime(engine, RuntimeOptions("app1"), Resources((store, broker)), None)


async def main(root: Path) -> None:
    """Store without end."""
    runtime = made_runtime(root, SystemClock())
    await runtime.open()
    numbers = itertools.count()

    async def write() -> None:
        for number in numbers:
            await runtime.state.transact("store", [StateChange(str(number), b"%d" % number)])
            sys.stdout.write(f"{number}\n")
            sys.stdout.flush()

    await asyncio.gather(*(write() for _ in range(WRITERS)))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
