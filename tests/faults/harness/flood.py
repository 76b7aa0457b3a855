"""G16: a flood of events, slow connections and endless bodies fills no memory and stops nobody."""

import asyncio
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.faults.harness import flood_app
from tests.faults.harness.checkers import lost_events
from tests.faults.harness.goals import Goal, Measure, Result, Size
from tests.faults.harness.ledger import numbers
from tests.faults.harness.probing import watching
from tests.faults.harness.rude import Body, send_body, slow_connections
from tests.faults.harness.usage import Usage, usage_of
from tests.faults.harness.victims import Pair, sidecar_and_app
from tests.helpers.killed_process import HOST

CONTENT = "x" * 500
AT_ONCE = 100
"""Events of one request."""
WITHIN = 300.0
SIDECAR, APP = 150.0, 64.0
"""MB that the sidecar may have, and the app more than when it is idle."""
PROMPT = 0.1
"""Seconds in which 99 of 100 questions for health must be answered."""
REFUSED = 400


@dataclass(frozen=True, slots=True)
class Plan:
    """What is done.

    Attributes:
        events: how many wait while the app is away; as many come in a burst when it is back.
        slow: connections that send a byte now and then, to each of both.
        body: MB of each body that is too large.
    """

    events: int
    slow: int
    body: int


async def publish(pair: Pair, begin: int, count: int) -> None:
    """Publish events, spread over all topics."""
    starts = iter(range(begin, begin + count, AT_ONCE))

    async def some() -> None:
        for start in starts:
            topic = flood_app.topics[start // AT_ONCE % flood_app.SUBSCRIPTIONS]
            many = range(start, min(start + AT_ONCE, begin + count))
            await pair.client.publish_many(
                topic, [flood_app.Parcel(number, CONTENT) for number in many]
            )

    await asyncio.gather(*(some() for _ in range(4)))


def bodies(pair: Pair, size: int) -> Iterator[Body]:
    """Return bodies that are too large, of every kind, for whoever takes bodies."""
    http, app = pair.ports.http, pair.app_port
    json = ("content-type: application/json",)
    for chunked in (False, True):
        yield Body(http, "/v1.0/state/statestore", size, chunked, json)
        yield Body(http, "/v1.0/publish/pubsub/topic0", size, chunked, json)
        yield Body(http, f"/v1.0/invoke/{flood_app.app.app_id}/method/swallow", size, chunked)
        yield Body(app, "/swallow", size, chunked)
        yield Body(app, "/dapr/topics/pubsub/topic0", size, chunked, json)


async def send_bodies(pair: Pair, size: int) -> list[str]:
    """Send them all, several at one time; return what is wrong."""
    wrong: list[str] = []
    left = list(bodies(pair, size))

    async def some() -> None:
        while left:
            body = left.pop()
            status = await send_body(body)
            if status is not None and status < REFUSED:
                wrong.append(f"a body of {size} MB to '{body.path}' was answered {status}")

    await asyncio.gather(*(some() for _ in range(4)))
    return wrong


async def handled(pair: Pair, count: int) -> float:
    """Wait until so many were handled, or it is too late; return the seconds."""
    begun = time.monotonic()
    while time.monotonic() < begun + WITHIN:
        if sum(path.read_bytes().count(b"\n") for path in pair.ledger.iterdir()) >= count:
            break
        await asyncio.sleep(0.2)
    return time.monotonic() - begun


async def idle(pair: Pair) -> Usage:
    """Begin both, see that events come, end the app again; return what it used."""
    await pair.sidecar.begin()
    await pair.app.begin()
    await pair.listening()
    await pair.healthy()
    await publish(pair, 0, 1)
    await handled(pair, 1)
    usage = usage_of(pair.app.pid, time.monotonic())
    await pair.app.stop()
    return usage


async def run(plan: Plan, folder: Path, seed: int) -> Result:
    """Let events wait, then everything comes at once."""
    chance = random.Random(seed)  # noqa: S311 - it mixes what comes first
    result = Result()
    async with sidecar_and_app(folder, flood_app) as pair:
        before = await idle(pair)
        async with watching(f"http://{HOST}:{pair.ports.http}/v1.0/healthz/outbound") as sidecar:
            await publish(pair, 1, plan.events)
            await pair.app.begin()
            await pair.listening()
            async with (
                watching(f"http://{HOST}:{pair.app_port}/healthz") as app,
                slow_connections((pair.ports.http, pair.app_port), plan.slow) as slow,
            ):
                await asyncio.sleep(chance.uniform(0, 0.2))
                wrong, _ = await asyncio.gather(
                    send_bodies(pair, plan.body), publish(pair, plan.events + 1, plan.events)
                )
                took = await handled(pair, 2 * plan.events + 1)
        usage = [usage_of(victim.pid, time.monotonic()) for victim in (pair.sidecar, pair.app)]
        done = numbers(pair.ledger, "handled")
    result.problems += [*wrong, *lost_events(range(2 * plan.events + 1), done)]
    for name, health in (("sidecar", sidecar), ("app", app)):
        if failed := health.report.wrong:
            result.problems.append(f"the {name}'s health, {len(failed)} times: {failed[0]}")
    result.counts = {
        "events": 2 * plan.events + 1,
        "subscriptions": flood_app.SUBSCRIPTIONS,
        "slow connections": 2 * plan.slow,
        "of them closed": slow.closed,
        f"bodies of {plan.body} MB": len(list(bodies(pair, plan.body))),
    }
    result.measures += measures(usage, before, (sidecar.slow, app.slow), took)
    return result


def measures(
    usage: Sequence[Usage], before: Usage, slow: Sequence[float], took: float
) -> list[Measure]:
    """Return what was used and how late health was."""
    return [
        Measure("sidecar at most", usage[0].peak, "MB", most=SIDECAR),
        Measure("app at most", usage[1].peak - before.memory, "MB more than idle", most=APP),
        Measure("sidecar's health within", slow[0] * 1000, "ms", most=PROMPT * 1000),
        Measure("app's health within", slow[1] * 1000, "ms", most=PROMPT * 1000),
        Measure("all handled after", took, "s", most=WITHIN),
    ]


GOAL = Goal(
    "G16",
    "a flood of events, slow connections and endless bodies fills no memory and stops nobody",
    {
        Size.QUICK: Plan(1_000, 50, 20),
        Size.FULL: Plan(100_000, 200, 200),
        Size.SOAK: Plan(500_000, 200, 1_000),
    },
    run,
    alone=True,
)
