"""One worker of the figures about the test kit: starts and stops sidecars, in a random order."""

import asyncio
import gc
import json
import random
import sys
import threading
import time
from pathlib import Path

import msgspec

from daprflow import Actor, Client, DaprFlow, Topic
from daprflow.settings import Settings
from daprflow.testing import TestSidecar

WARM = 10
"""Cycles before anything is counted: what is loaded late is loaded by then."""


class Order(msgspec.Struct):
    """An event."""

    id: str


class Sum(msgspec.Struct):
    """The state of an actor."""

    value: int = 0


class Counter(Actor[Sum]):
    """An actor."""

    async def add(self, by: int) -> int:
        """Count."""
        self.state.value += by
        return self.state.value


ORDERS = Topic("pubsub", "orders", Order)


def make_app() -> DaprFlow:
    """Return an app with a topic, an actor, a cron and a job."""
    app = DaprFlow("shop", settings=Settings())
    app.actor(Counter)

    @app.topic(ORDERS, dead_letter="dead")
    async def on_order(order: Order, *, client: Client) -> None:
        await client.state("statestore").set(order.id, order)

    @app.cron("sweep", "@every 15m")
    async def sweep() -> None: ...

    @app.job("report", schedule="0 0 3 * * *")
    async def report() -> None: ...

    return app


def held() -> dict[str, int]:
    """Count what a cycle may leave behind."""
    gc.collect()
    links = []
    for each in Path("/proc/self/fd").iterdir():
        try:
            links.append(str(each.readlink()))
        except OSError:
            continue
    return {
        "tasks": len(asyncio.all_tasks()),
        "threads": threading.active_count(),
        "files": len(links),
        "ports": sum(link.startswith("socket:") for link in links),
    }


async def cycle(app: DaprFlow, *, sockets: bool) -> float:
    """Start, use and stop a sidecar; return the seconds of start and stop."""
    begun = time.perf_counter()
    async with TestSidecar(app, sockets=sockets) as dapr:
        started = time.perf_counter()
        await dapr.publish(ORDERS, Order("a"))
        await dapr.actor(Counter, "a").add(1)
        ended = time.perf_counter()
    return (started - begun) + (time.perf_counter() - ended)


async def work(cycles: int, seed: int) -> dict[str, object]:
    """Run as many cycles of each kind, mixed."""
    order = [False] * cycles + [True] * cycles
    random.Random(seed).shuffle(order)  # noqa: S311 - no secret
    app = make_app()
    for number in range(WARM):
        await cycle(app, sockets=bool(number % 2))
    before = held()
    seconds: dict[bool, list[float]] = {False: [], True: []}
    for sockets in order:
        seconds[sockets].append(await cycle(app, sockets=sockets))
    after = held()
    left = {name: after[name] - before[name] for name in before}
    return {"seconds": {"in_process": seconds[False], "sockets": seconds[True]}, "left": left}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(work(int(sys.argv[1]), int(sys.argv[2])))))
