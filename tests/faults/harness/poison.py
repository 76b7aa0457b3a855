"""G15: events that always fail hold nobody up, and end in the dead letter topic."""

import asyncio
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tests.faults.harness import proof_app
from tests.faults.harness.goals import Goal, Measure, Result, Size
from tests.faults.harness.ledger import numbers, read_notes
from tests.faults.harness.measuring import measured_all
from tests.faults.harness.victims import Pair, sidecar_and_app

PUBLISHERS = 4
WITHIN = 60.0
ATTEMPTS = 10
"""After so many an event is in the dead letter topic, where there is no resiliency policy."""
ATTEMPTS_TAKE = 240.0
"""Seconds in which these are made: the pauses between them become longer."""
TIMES = 2.0
"""The good ones may be so many times as late as without bad ones."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is done.

    Attributes:
        events: how many there are without bad ones, and as many with them.
        rate: how many a second.
        to_the_end: whether the bad ones are waited for.
    """

    events: int
    rate: float
    to_the_end: bool


async def published(pair: Pair, chosen: list[int], rate: float) -> dict[int, float]:
    """Publish events at a rate; return when each was."""
    at: dict[int, float] = {}
    begun = time.monotonic()
    places = iter(enumerate(chosen))

    async def publish() -> None:
        for place, number in places:
            await asyncio.sleep(begun + place / rate - time.monotonic())
            at[number] = time.monotonic()
            await pair.client.publish(proof_app.mixed, number)

    await asyncio.gather(*(publish() for _ in range(PUBLISHERS)))
    return at


async def lateness(pair: Pair, chosen: list[int], rate: float) -> float:
    """Return how many seconds after their publishing 99 of 100 good events are handled."""
    at = await published(pair, chosen, rate)
    tried: dict[int, float] = {}
    deadline = time.monotonic() + WITHIN
    while time.monotonic() < deadline:
        tried = {note.number: note.at for note in read_notes(pair.ledger) if note.what == "tried"}
        if at.keys() <= tried.keys():
            break
        await asyncio.sleep(0.1)
    good = [number for number in at if not proof_app.is_bad(number)]
    late = sorted(tried.get(number, float("inf")) - at[number] for number in good)
    return late[len(late) * 99 // 100]


async def all_given_up(pair: Pair, wanted: set[int]) -> None:
    """Wait until events are in the dead letter topic, or it is too late."""
    deadline = time.monotonic() + ATTEMPTS_TAKE
    while time.monotonic() < deadline:
        if wanted <= set(numbers(pair.ledger, "bad")):
            return
        await asyncio.sleep(0.2)


async def run(plan: Plan, folder: Path, seed: int) -> Result:
    """Publish good events alone, then as many with bad ones among them."""
    async with sidecar_and_app(folder) as pair:
        await pair.sidecar.begin()
        await pair.app.begin()
        await pair.listening()
        await pair.healthy()
        await published(pair, [-1], 1.0)
        count = plan.events
        alone = list(range(-2 * count, -count))
        plain = await lateness(pair, alone, plan.rate)
        both = list(range(count))
        mixed = await lateness(pair, both, plan.rate)
        wanted = {number for number in both if proof_app.is_bad(number)}
        measured_all()
        if plan.to_the_end:
            await all_given_up(pair, wanted)
        tried, buried = Counter(numbers(pair.ledger, "tried")), numbers(pair.ledger, "bad")
    problems = [f"good event {each} was given up" for each in sorted(set(buried) - wanted)]
    if plan.to_the_end:
        lost = sorted(wanted - set(buried))
        problems += [f"bad event {each} is not in dead letters" for each in lost]
        often = {each: tried[each] for each in wanted if tried[each] != ATTEMPTS}
        problems += [f"bad event {each} was tried {times} times" for each, times in often.items()]
    return Result(
        {"events": 2 * count, "bad ones": len(wanted)},
        problems,
        [
            Measure("99 of 100 good ones within", mixed * 1000, "ms", most=TIMES * plain * 1000),
            Measure("without bad ones", plain * 1000, "ms"),
        ],
    )


GOAL = Goal(
    "G15",
    "events that always fail hold nobody up",
    {
        Size.QUICK: Plan(200, 200.0, to_the_end=False),
        Size.FULL: Plan(5_000, 200.0, to_the_end=True),
        Size.SOAK: Plan(100_000, 200.0, to_the_end=True),
    },
    run,
    alone=True,
)
