"""G17: what works for a long time uses no more than it did at first."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from daprflow import DaprFlowError
from tests.faults.harness import counting, soak_app
from tests.faults.harness.counting import TASKS, tasks_of
from tests.faults.harness.goals import Goal, Measure, Result, Size
from tests.faults.harness.usage import WINDOW, Bounds, Usage, growing, slope, usage_of
from tests.faults.harness.victims import Pair, Victim, sidecar_and_app

WORKERS = 16
RESULT = timedelta(seconds=30)
WARM = 120.0
"""Seconds until nothing fills any more. The last that does is SQLite's cache of pages, 2 MB for
each connection: it is full after some 3,500 workflows, and grows like a leak until then."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is done.

    Attributes:
        seconds: how long it is looked at.
        warm: seconds before: caches fill, the allocator takes what it needs.
        events: a second.
        workflows: a second.
        every: seconds between two looks.
        bounds: what may grow in `WINDOW` seconds. In little time a small growth is not to be told
            from the noise of an allocator, so that the less time there is the more it may be.
        leak: bytes that the app keeps of each event, on purpose.
        least: the part of what is asked for that must have been done, for the measurement to count.
    """

    seconds: float
    warm: float
    events: float
    workflows: float
    every: float
    bounds: Bounds
    leak: int = 0
    least: float = 0.9


@dataclass(slots=True)
class Work:
    """Does something at a rate.

    Attributes:
        call: does it once.
        rate: how often a second.
    """

    call: Callable[[int], Awaitable[object]]
    rate: float
    done: int = 0
    failed: list[str] = field(default_factory=list)
    _next: int = 0

    async def run(self, begun: float, until: float) -> None:
        """Do it until it is time to end; several at one time keep up with the rate."""
        while True:
            number, self._next = self._next, self._next + 1
            at = begun + number / self.rate
            if at >= until:
                return
            await asyncio.sleep(max(0.0, at - time.monotonic()))
            if time.monotonic() >= until:
                return
            try:
                await self.call(number)
            except DaprFlowError as error:
                self.failed.append(f"{type(error).__name__}: {error}")
            else:
                self.done += 1


@dataclass(slots=True)
class Watch:
    """Looks at a process now and then."""

    name: str
    victim: Victim
    tasks: Path
    samples: list[Usage] = field(default_factory=list)

    async def look(self) -> None:
        """Look once."""
        tasks = await tasks_of(self.victim.pid, self.tasks)
        self.samples.append(usage_of(self.victim.pid, time.monotonic(), tasks))

    def growth(self) -> float:
        """Return the MB that it grows by in `WINDOW` seconds."""
        return slope([(each.at, each.memory) for each in self.samples])


async def work(pair: Pair, plan: Plan, watches: list[Watch]) -> list[Work]:
    """Work for as long as the plan says, and look meanwhile."""

    async def workflow(number: int) -> None:
        run = await pair.client.start(soak_app.doubled, number)
        if await run.result(RESULT) != 2 * number:
            raise AssertionError(f"workflow {number} has a wrong result")

    async def event(number: int) -> None:
        await pair.client.publish(soak_app.numbers, number)

    begun = time.monotonic()
    until = begun + plan.warm + plan.seconds
    works = [Work(event, plan.events), Work(workflow, plan.workflows)]

    async def look() -> None:
        at = begun + plan.warm
        while at < until:
            await asyncio.sleep(max(0.0, at - time.monotonic()))
            for watch in watches:
                await watch.look()
            at += plan.every

    runs = [each.run(begun, until) for each in works for _ in range(WORKERS)]
    await asyncio.gather(look(), *runs)
    return works


async def run(plan: Plan, folder: Path, seed: int) -> Result:
    """Work at a steady rate, and see whether anything becomes more and more."""
    chance = random.Random(seed)  # noqa: S311 - it decides who begins
    async with sidecar_and_app(folder, soak_app, counting) as pair:
        watches = [
            Watch("the sidecar", pair.sidecar, folder / "sidecar.tasks"),
            Watch("the app", pair.app, folder / "app.tasks"),
        ]
        chance.shuffle(watches)
        for watch in watches:
            env = {TASKS: str(watch.tasks), soak_app.LEAK: str(plan.leak)}
            await watch.victim.begin(env)
        await pair.listening()
        await pair.healthy()
        works = await work(pair, plan, watches)
    result = Result({"events": works[0].done, "workflows": works[1].done})
    for watch in watches:
        result.problems += growing(watch.name, watch.samples, plan.bounds)
    for each, what in zip(works, ("events", "workflows"), strict=True):
        if each.failed:
            result.problems.append(f"{len(each.failed)} {what} failed: {each.failed[0]}")
        asked = each.rate * (plan.warm + plan.seconds)
        part = 100 * each.done / asked
        result.measures.append(Measure(f"{what} asked for", part, "%", least=100 * plan.least))
    for watch in sorted(watches, key=lambda each: each.name):
        name, last = watch.name, watch.samples[-1]
        result.measures += [
            Measure(f"{name} grows by", watch.growth(), f"MB in {WINDOW:g} s"),
            Measure("at the end", last.memory, "MB"),
        ]
    return result


GOAL = Goal(
    "G17",
    "what works for a long time uses no more memory, files, threads or tasks than at first",
    {
        Size.QUICK: Plan(3.0, 2.0, 200.0, 10.0, 0.1, Bounds(1_000.0, 6_000.0), least=0.5),
        Size.FULL: Plan(120.0, WARM, 500.0, 50.0, 1.0, Bounds(3.0, 50.0)),
        Size.SOAK: Plan(1_200.0, WARM, 500.0, 50.0, 1.0, Bounds(1.0, 2.0)),
    },
    run,
    alone=True,
)
