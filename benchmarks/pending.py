"""Figures: what waits in the data folder, 100,000 beside 1,000: the start, and each operation."""

import asyncio
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from benchmarks.processes import BenchmarkError
from benchmarks.table import Figure, Section, at_most
from daprflow.protocol.jobs import JobRequest
from daprflow.sidecar.clock import SystemClock
from daprflow.sidecar.components.base import (
    ComponentContext,
    EditableConfiguration,
    Message,
    PubSub,
    Undelivered,
)
from daprflow.sidecar.components.registry import COMPONENTS
from daprflow.sidecar.engine import Engine

FEW, MANY = 1_000, 100_000
CALLERS = 32
AT_ONCE = 2_000
WITHIN = 60.0
APP, TOPIC = "bench", "orders"
BROKER, SETTINGS = "pubsub.daprflow", "configuration.daprflow"
DATA = b'{"specversion":"1.0","id":"1","type":"t","source":"s","data":{"id":"o-1","total":120}}'
HOURLY = JobRequest(schedule="@every 1h", overwrite=True)


@dataclass(frozen=True, slots=True)
class Parts:
    """What is measured of one engine."""

    engine: Engine
    broker: PubSub
    settings: EditableConfiguration

    async def publish(self, number: int) -> None:
        """Publish one event."""
        del number
        await self.broker.publish(Message(TOPIC, DATA))

    async def schedule(self, number: int) -> None:
        """Put a job in the place of one that waits."""
        await self.engine.jobs.schedule(APP, f"job-{number % FEW}", HOURLY)

    async def configure(self, number: int) -> None:
        """Change one item."""
        await self.settings.put(f"key-{number % FEW}", "value", "")


@dataclass(slots=True)
class Costs:
    """Seconds of the start, and of one operation of each kind, in every round."""

    start: list[float] = field(default_factory=list)
    each: dict[str, list[float]] = field(default_factory=dict)


@asynccontextmanager
async def _opened(folder: Path) -> AsyncIterator[Parts]:
    engine = Engine(SystemClock(), folder, folder)
    try:
        await engine.jobs.open()
        broker, settings = [
            await engine.acquire(
                ComponentContext(
                    name=kind,
                    type=kind,
                    version="v1",
                    metadata={},
                    app_id=APP,
                    clock=engine.clock,
                    data_dir=folder,
                    base_dir=folder,
                    siblings=engine,
                ),
                COMPONENTS[kind],
            )
            for kind in (BROKER, SETTINGS)
        ]
        yield Parts(engine, cast("PubSub", broker), cast("EditableConfiguration", settings))
    finally:
        await engine.close()


async def _away(_: Message, /) -> None:
    raise Undelivered("the app is away")


async def _fill(folder: Path, count: int) -> None:
    """Have ``count`` of each wait."""
    async with _opened(folder) as parts:
        await (await parts.broker.subscribe(TOPIC, APP, {}, _away))()
        for start in range(0, count, AT_ONCE):
            numbers = range(start, min(count, start + AT_ONCE))
            await asyncio.gather(*(parts.publish(number) for number in numbers))
            await asyncio.gather(
                *(parts.engine.jobs.schedule(APP, f"job-{number}", HOURLY) for number in numbers)
            )
            await asyncio.gather(
                *(parts.settings.put(f"key-{number}", "value", "") for number in numbers)
            )


async def _handle(parts: Parts, count: int) -> None:
    """Have ``count`` of the pending events handled."""
    handled = 0
    enough = asyncio.Event()

    async def receive(_: Message, /) -> None:
        nonlocal handled
        handled += 1
        if handled > count:  # the rest goes on waiting
            enough.set()
            raise Undelivered("enough")

    stop = await parts.broker.subscribe(TOPIC, APP, {}, receive)
    await asyncio.wait_for(enough.wait(), WITHIN)
    await stop()


async def _many(operation: Callable[[int], Awaitable[None]], count: int) -> None:
    numbers = iter(range(count))

    async def caller() -> None:
        for number in numbers:
            await operation(number)

    await asyncio.gather(*(caller() for _ in range(CALLERS)))


async def _round(folder: Path, costs: Costs, count: int) -> None:
    """Start, do ``count`` operations of each kind, and leave as many waiting as there were."""
    began = time.perf_counter()
    async with _opened(folder) as parts:
        costs.start.append(time.perf_counter() - began)
        works: dict[str, Callable[[], Awaitable[None]]] = {
            "publish": lambda: _many(parts.publish, count),
            "handle an event": lambda: _handle(parts, count),
            "schedule a job": lambda: _many(parts.schedule, count),
            "change an item": lambda: _many(parts.configure, count),
        }
        for name, work in works.items():
            began = time.perf_counter()
            await work()
            costs.each.setdefault(name, []).append((time.perf_counter() - began) / count)


async def _measured(rounds: int, count: int) -> dict[int, Costs]:
    found = {FEW: Costs(), MANY: Costs()}
    with tempfile.TemporaryDirectory() as name:
        folders = {waiting: Path(name) / str(waiting) for waiting in found}
        for waiting, folder in folders.items():
            await _fill(folder, waiting)
            await _round(folder, Costs(), count)
        for _ in range(rounds):
            for waiting, folder in folders.items():
                await _round(folder, found[waiting], count)
    return found


def measure(*, rounds: int, count: int) -> Section:
    """Measure with 1,000 and with 100,000 pending, in alternate rounds, in this process."""
    if count >= FEW:
        raise BenchmarkError(f"at most {FEW - 1} operations, or none would be left waiting")
    found = asyncio.run(_measured(rounds, count))
    figures = list(_figures(found[FEW], found[MANY]))
    return Section("Pending: 100,000 events, jobs and items", figures)


def _figures(few: Costs, many: Costs) -> Iterator[Figure]:
    started = f"with 1,000: {statistics.median(few.start):.3f}"
    yield Figure("start", statistics.median(many.start), "s", at_most(2.0), started)
    for name, costs in many.each.items():
        note = f"{statistics.median(costs) * 1e6:.0f} µs"
        ratio = min(costs) / min(few.each[name])  # what the disk does meanwhile is left out
        yield Figure(f"{name}: cost", ratio, "times 1,000", at_most(1.5), note)
