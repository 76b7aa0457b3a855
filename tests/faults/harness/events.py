"""G1 and G7: no accepted event is lost, however sidecar and app are killed or stopped."""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from daprflow import SidecarError
from tests.faults.harness import proof_app
from tests.faults.harness.checkers import lost_events, unknown_events
from tests.faults.harness.goals import Goal, Measure, Result, Size
from tests.faults.harness.ledger import numbers
from tests.faults.harness.steps import Plan as FailPlan
from tests.faults.harness.victims import GRACE, Pair, sidecar_and_app

PUBLISHERS = 4
SETTLE = 60.0
"""Seconds after the last kill in which everything must be handled."""
AT_A_POINT = 6.0
PACE = 0.8
"""Mean seconds between kills: somewhat more than a start takes."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is done.

    Attributes:
        events: how many are accepted at least.
        kills: of the sidecar, and as many of the app.
        points: whether the sidecar is killed at each of its fail-points as well.
    """

    events: int
    kills: int
    points: bool


@dataclass(slots=True)
class Traffic:
    """Events that are published all the time, each once.

    Attributes:
        sent: all of them; those that were not accepted may be there or not.
        accepted: those of which the sidecar said that it has them.
        allowed: how many may be accepted so far, so that they spread over the whole run.
    """

    pair: Pair
    sent: set[int] = field(default_factory=set)
    accepted: set[int] = field(default_factory=set)
    allowed: int = 0
    ended: bool = False

    async def publish(self) -> None:
        """Publish until it is ended."""
        while not self.ended:
            if len(self.accepted) >= self.allowed:
                await asyncio.sleep(0.005)
                continue
            number = len(self.sent)
            self.sent.add(number)
            try:
                await self.pair.client.publish(proof_app.numbers, number)
            except SidecarError:
                await asyncio.sleep(0.02)
            else:
                self.accepted.add(number)

    async def accept(self, count: int, within: float) -> None:
        """Wait until so many are accepted."""
        self.allowed = max(self.allowed, count)
        deadline = time.monotonic() + within
        while len(self.accepted) < count and time.monotonic() < deadline:  # noqa: ASYNC110 - it is a limit of time, too
            await asyncio.sleep(0.01)

    def problems(self) -> list[str]:
        """Say what became of the events that must not be."""
        handled = numbers(self.pair.ledger, "handled")
        dead = numbers(self.pair.ledger, "dead")
        found = [*lost_events(self.accepted, handled), *unknown_events(self.sent, handled)]
        if dead:
            found.append(f"{len(dead)} events were given up: {dead[:5]}")
        return found

    async def settled(self) -> float:
        """Wait until everything accepted is handled, or it is too late; return the seconds."""
        begun = time.monotonic()
        while time.monotonic() < begun + SETTLE:
            if self.accepted <= set(numbers(self.pair.ledger, "handled")):
                break
            await asyncio.sleep(0.05)
        return time.monotonic() - begun


@contextlib.asynccontextmanager
async def traffic_in(pair: Pair, chance: random.Random) -> AsyncIterator[Traffic]:
    """Begin both processes, in any order, and publish until the end."""
    order = [pair.sidecar, pair.app]
    chance.shuffle(order)
    for victim in order:
        await victim.begin()
    await pair.healthy()
    traffic = Traffic(pair)
    async with asyncio.TaskGroup() as group:
        for _ in range(PUBLISHERS):
            group.create_task(traffic.publish())
        try:
            yield traffic
        finally:
            traffic.ended = True


async def killed(plan: Plan, folder: Path, seed: int) -> Result:
    """Kill the sidecar and the app at random times and at fail-points."""
    chance = random.Random(seed)  # noqa: S311 - it decides when to kill
    async with sidecar_and_app(folder) as pair:
        async with traffic_in(pair, chance) as traffic:
            victims = [pair.sidecar, pair.app] * plan.kills
            chance.shuffle(victims)
            for number, victim in enumerate(victims, 1):
                traffic.allowed = plan.events * number // len(victims)
                await asyncio.sleep(chance.uniform(0, 2 * PACE))
                await victim.kill()
                await victim.begin()
            at_points = await _killed_at_points(traffic, chance) if plan.points else 0
            await traffic.accept(plan.events, SETTLE)
        late = await traffic.settled()
        result = Result(problems=traffic.problems())
        again = len(numbers(pair.ledger, "handled"))
    counts = {"accepted events": len(traffic.accepted), "kills of each": plan.kills}
    if plan.points:
        counts["fail-points killed at"] = at_points
    counts["handled more than once"] = again - len(traffic.accepted)
    if len(traffic.accepted) < plan.events:
        result.problems.append(f"only {len(traffic.accepted)} events were accepted")
    result.counts = {name: max(0, count) for name, count in counts.items()}
    result.measures.append(Measure("the last one after", late, "s", most=SETTLE))
    return result


async def _killed_at_points(traffic: Traffic, chance: random.Random) -> int:
    """End the sidecar at each point that it was seen to pass; return at how many."""
    pair, reached = traffic.pair, 0
    points = sorted(set(pair.seen.read_text(encoding="utf-8").split()))
    for point in points:
        await pair.sidecar.kill()
        await pair.begin_failing(FailPlan(point, chance.randint(1, 5)))
        traffic.allowed = len(traffic.accepted) + 100
        reached += await pair.sidecar.died(AT_A_POINT)
        await pair.sidecar.begin()
        await pair.healthy()
    return reached


async def stopped(plan: Plan, folder: Path, seed: int) -> Result:
    """Ask the sidecar and the app to end while there is work."""
    chance = random.Random(seed)  # noqa: S311 - it decides when to stop
    took: list[float] = []
    codes: dict[int, int] = {}
    async with sidecar_and_app(folder) as pair:
        async with traffic_in(pair, chance) as traffic:
            for number in range(2 * plan.kills):
                victim = (pair.sidecar, pair.app)[number % 2]
                traffic.allowed = plan.events * (number + 1) // (2 * plan.kills)
                await pair.healthy()
                await pair.listening()
                await asyncio.sleep(chance.uniform(0, PACE))
                code, seconds = await victim.stop()
                took.append(seconds)
                codes[code] = codes.get(code, 0) + 1
                await victim.begin()
            await traffic.accept(plan.events, SETTLE)
        late = await traffic.settled()
        result = Result(problems=traffic.problems())
    result.counts = {"accepted events": len(traffic.accepted), "stops": 2 * plan.kills}
    result.problems += [f"{count} ended with code {code}" for code, count in codes.items() if code]
    result.measures += [
        Measure("the slowest stop", max(took), "s", most=GRACE + 1),
        Measure("the last event after", late, "s", most=SETTLE),
    ]
    return result


KILLED = Goal(
    "G1",
    "no accepted event is lost when sidecar and app are killed",
    {
        Size.QUICK: Plan(200, 1, points=False),
        Size.FULL: Plan(10_000, 50, points=True),
        Size.SOAK: Plan(100_000, 500, points=True),
    },
    killed,
)
STOPPED = Goal(
    "G7",
    "a stop loses nothing, gives nothing up and does not take longer than it may",
    {
        Size.QUICK: Plan(200, 1, points=False),
        Size.FULL: Plan(10_000, 100, points=False),
        Size.SOAK: Plan(100_000, 1_000, points=False),
    },
    stopped,
)
