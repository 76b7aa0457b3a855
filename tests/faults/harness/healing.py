"""G8: sidecar and app begin in any order, and everything works soon after a sidecar's return."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from daprflow import DaprFlowError
from tests.faults.harness import proof_app
from tests.faults.harness.goals import Goal, Measure, Result, Size
from tests.faults.harness.ledger import numbers
from tests.faults.harness.victims import Pair, sidecar_and_app

WITHIN = 30.0
ORDERS = ("sidecar first", "app first", "sidecar much later", "app much later")
CLIENT, WORK = 2.0, 1.0
"""Seconds after the sidecar is healthy in which the client, and what the app is asked, works."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is done.

    Attributes:
        rounds: how often each order is tried.
        returns: how often the sidecar is killed and begun again, in so many of the first rounds.
        later: seconds that "much later" means.
        orders: how many of the orders are tried, by chance.
    """

    rounds: int
    returns: int
    later: float = 2.0
    orders: int = len(ORDERS)


@dataclass(slots=True)
class Times:
    """The slowest that was seen, by what it was."""

    slowest: dict[str, float] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)

    def note(self, what: str, seconds: float) -> None:
        """Keep what is slower than what is known."""
        self.slowest[what] = max(seconds, self.slowest.get(what, 0.0))

    async def until(self, what: str, since: float, call: Callable[[], Awaitable[bool]]) -> None:
        """Try until it works, and note how long that took."""
        deadline = since + WITHIN
        while time.monotonic() < deadline:
            try:
                if await call():
                    self.note(what, time.monotonic() - since)
                    return
            except DaprFlowError:
                pass
            await asyncio.sleep(0.01)
        self.missing.append(f"{what} does not come back")


class Calls:
    """What is asked of a sidecar and its app.

    Args:
        pair: both.
        number: of the first workflow; no other has it.
    """

    def __init__(self, pair: Pair, number: int) -> None:
        self._pair = pair
        self._number = number

    async def state(self) -> bool:
        """Read and write a value."""
        await self._pair.client.state("statestore").set("key", self._number)
        return await self._pair.client.state("statestore").get("key", int) is not None

    async def actor(self) -> bool:
        """Have an actor make a turn."""
        return await self._pair.client.actor(proof_app.CountActor, "one").up() > 0

    async def workflow(self) -> bool:
        """Have a workflow come to its end."""
        self._number += 1
        run = await self._pair.client.start(
            proof_app.doubled, self._number, id=f"w{time.monotonic_ns()}"
        )
        return await run.result(timedelta(seconds=WITHIN)) == 2 * self._number

    async def event(self) -> bool:
        """Have an event handled."""
        await self._pair.client.publish(proof_app.numbers, self._number)
        for _ in range(500):
            if self._number in numbers(self._pair.ledger, "handled"):
                return True
            await asyncio.sleep(0.005)
        return False


async def begin(pair: Pair, order: str, later: float) -> None:
    """Begin both in some order."""
    first, second = pair.sidecar, pair.app
    if order in {"app first", "sidecar much later"}:
        first, second = second, first
    await first.begin()
    if "later" in order:
        await asyncio.sleep(later)
    await second.begin()


async def one_round(order: str, later: float, folder: Path, times: Sequence[Times]) -> None:
    """Begin, see everything work; for each more of `times` kill the sidecar and see it again."""
    async with sidecar_and_app(folder) as pair:
        await begin(pair, order, later)
        since = await pair.healthy()
        await pair.listening()
        since = max(since, time.monotonic())
        for number, noted in enumerate(times):
            if number:
                await pair.sidecar.kill()
                await pair.sidecar.begin()
                since = await pair.healthy()
            calls = Calls(pair, (number + 1) * 1000 + 1)
            await asyncio.gather(
                noted.until("client", since, calls.state),
                noted.until("actor", since, calls.actor),
                noted.until("workflow", since, calls.workflow),
                noted.until("event", since, calls.event),
            )


async def run(plan: Plan, folder: Path, seed: int) -> Result:
    """Try every order, as often as the plan says."""
    chance = random.Random(seed)  # noqa: S311 - it mixes the orders
    orders = chance.sample(ORDERS, plan.orders) * plan.rounds
    chance.shuffle(orders)
    started, healed = Times(), Times()
    for number, order in enumerate(orders):
        place = folder / str(number)
        place.mkdir()
        times = (started, healed) if number < plan.returns else (started,)
        await one_round(order, plan.later, place, times)
    result = Result({"starts": len(orders), "returns": min(plan.returns, len(orders))})
    result.problems += [*started.missing, *healed.missing]
    for what, seconds in sorted(healed.slowest.items()):
        most = CLIENT if what == "client" else WORK
        result.measures.append(Measure(f"{what} healed within", seconds, "s", most=most))
    slowest = max(started.slowest.values(), default=0.0)
    result.measures.append(Measure("all works after a start within", slowest, "s", most=CLIENT))
    return result


GOAL = Goal(
    "G8",
    "app and sidecar begin in any order, and all works again soon after a sidecar's return",
    {Size.QUICK: Plan(1, 1, 0.5, 2), Size.FULL: Plan(20, 80), Size.SOAK: Plan(40, 160)},
    run,
    alone=True,
)
