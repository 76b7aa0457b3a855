"""G12: timers that were accepted come once, never early, whatever the clock and the process do."""

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from daprflow.protocol.actors import ReminderRequest
from daprflow.sidecar.clock import SystemClock, VirtualClock
from daprflow.sidecar.engine import Work
from daprflow.testing.settling import Settling
from tests.faults.harness.checkers import Tick, wrong_ticks
from tests.faults.harness.goals import Goal, Measure, Result, Size
from tests.helpers.reminder_process import START, reminders_in

SPAN = 3_600
"""Seconds of the virtual clock over which timers are due."""
JUMP = 600
IDLE, BURST = 0.05, 0.25
"""Seconds that 99 of 100 may be late where few are due, and where all are due at once."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is done.

    Attributes:
        timers: on the virtual clock.
        at_once: due at one moment of the real clock.
        idle: due one after the other on the real clock.
        soon: seconds until these are due, and over which; they must be registered by then.
    """

    timers: int
    at_once: int
    idle: int
    soon: float = 3.0


async def virtual(plan: Plan, folder: Path, chance: random.Random) -> tuple[int, int, list[str]]:
    """Let the clock run and jump, and begin again; return how often, and what is wrong."""
    clock = VirtualClock(START)
    ticks: list[Tick] = []
    due: dict[str, list[float]] = {}

    async def remind(_kind: str, actor_id: str, *_: object) -> None:
        ticks.append(Tick(actor_id, clock.now()))

    work = Work()
    reminders = reminders_in(folder, clock, work, remind)
    await reminders.open()
    for number in range(plan.timers):
        seconds = chance.randint(1, SPAN * 1000) / 1000
        due[str(number)] = [clock.now() + seconds]
        request = ReminderRequest(f"{round(seconds * 1000)}ms")
        await reminders.register("T", str(number), "r", request)
    reminders.hosted("T")
    restarts = jumps = 0
    while clock.now() < START + SPAN + JUMP:
        match chance.choice(("run", "jump", "restart")):
            case "run":
                step = timedelta(seconds=chance.uniform(0, JUMP / 2))
                await Settling(clock, work).advance(step)
            case "jump":
                clock.move_to(clock.now() + chance.uniform(0, JUMP))
                await Settling(clock, work).settle()
                jumps += 1
            case _:
                await reminders.close()
                if chance.random() < 0.5:
                    clock.move_to(clock.now() + chance.uniform(0, JUMP))
                work = Work()
                reminders = reminders_in(folder, clock, work, remind)
                await reminders.open()
                reminders.hosted("T")
                await Settling(clock, work).settle()
                restarts += 1
    await reminders.close()
    return restarts, jumps, list(wrong_ticks(due, ticks))


async def lateness(dues: Sequence[float], folder: Path) -> tuple[float, list[str]]:
    """Return how late 99 of 100 are on the real clock, and what is wrong."""
    ticks: list[Tick] = []
    due = {str(number): [at] for number, at in enumerate(dues)}
    all_came = asyncio.Event()

    async def remind(_kind: str, actor_id: str, *_: object) -> None:
        ticks.append(Tick(actor_id, time.time()))
        if len(ticks) == len(dues):
            all_came.set()

    reminders = reminders_in(folder, SystemClock(), Work(), remind)
    await reminders.open()
    reminders.hosted("T")

    async def register(name: str, at: float) -> None:
        delay = f"{max(0, round((at - time.time()) * 1000))}ms"
        begun = time.time()
        await reminders.register("T", name, "r", ReminderRequest(delay))
        # It may not come before this many milliseconds from the moment it was asked for.
        due[name] = [begun + float(delay.removesuffix("ms")) / 1000 - 0.001]

    await asyncio.gather(*(register(name, at) for name, (at,) in list(due.items())))
    await asyncio.wait_for(all_came.wait(), 60.0)
    await reminders.close()
    late = sorted(tick.at - dues[int(tick.name)] for tick in ticks)
    return late[len(late) * 99 // 100], list(wrong_ticks(due, ticks))


async def run(plan: Plan, folder: Path, seed: int) -> Result:
    """Do both."""
    chance = random.Random(seed)  # noqa: S311 - it decides what happens when
    restarts, jumps, problems = await virtual(plan, folder / "virtual", chance)
    now = time.time()
    steps = [now + plan.soon + plan.soon * number / plan.idle for number in range(plan.idle)]
    idle, idle_problems = await lateness(steps, folder / "idle")
    at = time.time() + plan.soon
    burst, burst_problems = await lateness([at] * plan.at_once, folder / "burst")
    return Result(
        {"timers": plan.timers, "restarts": restarts, "jumps of the clock": jumps},
        [*problems, *idle_problems, *burst_problems],
        [
            Measure("99 of 100 late by at most", idle, "s", most=IDLE),
            Measure(f"with {plan.at_once:,} due at once", burst, "s", most=BURST),
        ],
    )


GOAL = Goal(
    "G12",
    "accepted timers come once, in time and never early, whatever clock and process do",
    {
        Size.QUICK: Plan(500, 100, 50, 1.0),
        Size.FULL: Plan(10_000, 1_000, 300),
        Size.SOAK: Plan(100_000, 1_000, 3_000, 30.0),
    },
    run,
    alone=True,
)
