"""G4: what a failed turn of an actor changed is never seen again."""

import asyncio
import random
from dataclasses import dataclass
from pathlib import Path

from daprflow import Actor, ActorError, DaprFlow, Part
from daprflow.testing import TestSidecar
from tests.faults.harness.checkers import wrong_model
from tests.faults.harness.goals import Goal, Result, Size
from tests.faults.harness.quiet import quiet

ACTORS = 50
AT_ONCE = 8
LOOK = 25
"""One turn in so many only looks."""


class NoGoodError(Exception):
    """A turn ends in the middle."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How many turns there are."""

    turns: int


def made_app() -> DaprFlow:
    """Return an app with actors whose turns fail when they are told to."""
    app = DaprFlow("turns")

    @app.actor(reentrant=True)
    class BothActor(Actor[dict[str, int]]):
        """Keeps two values that every turn changes together."""

        second = Part(int)

        async def add(self, amount: int, fails: str) -> int:
            """Change both, in place and by assignment, and maybe fail at some point."""
            if fails == "first":
                raise NoGoodError
            self.state["sum"] = self.state.get("sum", 0) + amount
            if fails == "between":
                raise NoGoodError
            await asyncio.sleep(0)
            self.second += amount
            if fails == "odd":
                raise BaseExceptionGroup("several", [NoGoodError()])
            if fails:
                raise NoGoodError
            return self.second

        async def look(self) -> tuple[int, int]:
            """Return both."""
            return self.state.get("sum", 0), self.second

    return app


async def run(plan: Plan, folder: Path, seed: int) -> Result:
    """Let turns fail, and say nothing of each."""
    with quiet():
        return await random_turns(plan, seed)


async def random_turns(plan: Plan, seed: int) -> Result:
    """Make random turns on random actors, several at a time, and compare with a model."""
    chance = random.Random(seed)  # noqa: S311 - it decides what is done
    names = [str(number) for number in range(ACTORS)]
    model = dict.fromkeys(names, 0)
    result = Result()
    failed = 0
    async with TestSidecar(made_app()) as dapr:

        async def look(name: str) -> None:
            first, second = await dapr.actor("BothActor", name).invoke(
                "look", returns=tuple[int, int]
            )
            result.problems += wrong_model({name: model[name]}, {name: first})
            result.problems += wrong_model({name: model[name]}, {name: second})

        async def turn(name: str, amount: int, fails: str) -> None:
            nonlocal failed
            did_fail = False
            try:
                await dapr.actor("BothActor", name).invoke("add", amount, fails, returns=int)
                model[name] += amount
            except ActorError:
                did_fail = True
            failed += did_fail
            if did_fail != bool(fails):
                result.problems.append(f"a turn of '{name}' that fails '{fails}' did the opposite")

        async def work(mine: list[str]) -> None:
            for number in range(plan.turns // AT_ONCE):
                name = chance.choice(mine)
                if number % LOOK == 0:
                    await look(name)
                fails = chance.choice(("", "", "first", "between", "last", "odd"))
                await turn(name, chance.randint(-9, 9), fails)

        await asyncio.gather(*(work(names[each::AT_ONCE]) for each in range(AT_ONCE)))
        for name in names:
            await look(name)
    result.counts = {"turns": plan.turns, "of them failed": failed}
    return result


GOAL = Goal(
    "G4",
    "what a failed turn changed is never seen again",
    {Size.QUICK: Plan(1_000), Size.FULL: Plan(100_000), Size.SOAK: Plan(1_000_000)},
    run,
)
