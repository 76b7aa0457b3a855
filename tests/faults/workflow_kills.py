"""Workflows while their app and their sidecar are killed again and again.

    python -m tests.faults.workflow_kills --workflows 1000 --kills 50

Every workflow must end with the results that one without kills has; `tests.helpers.kill_outcome`
says what else must hold.
"""

import argparse
import asyncio
import contextlib
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from daprflow import Client, NotFound, SidecarError, WorkflowFailed
from daprflow.client.workflow_runs import WorkflowRun
from daprflow.settings import Settings
from daprflow.testing.real_services import Services
from tests.helpers import kill_app
from tests.helpers.kill_app import STEPS, STOP, Rounds
from tests.helpers.kill_ledger import ActivityRun, read_ledger
from tests.helpers.kill_outcome import Outcome, problems
from tests.helpers.killed_process import (
    HOST,
    KilledProcess,
    Ports,
    app_process,
    daprd_process,
    embedded_process,
)
from tests.helpers.real_runtime import services

T = TypeVar("T")
KINDS = (kill_app.chain, kill_app.fan, kill_app.naps, kill_app.family)
DOOMED = 10
"""One workflow in so many is ended and forgotten, beside those that come to their own end."""
CONFLICT = 409
SHOWN = 50
"""How many problems are printed."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is done.

    Attributes:
        workflows: how many come to their end.
        kills: how often the app is killed, and the sidecar as often.
        seed: of what is left to chance.
        pace: mean seconds between kills.
        stuck: seconds after the last kill in which all must be over.
        runtime: a folder with a real runtime; None for the embedded sidecar.
        apps: how many processes of the app there are.
    """

    workflows: int
    kills: int
    seed: int
    pace: float = 1.0
    stuck: float = 60.0
    runtime: Path | None = None
    apps: int = 1


@dataclass(slots=True)
class Report:
    """What came of it.

    Attributes:
        outcomes: of the workflows that came to their end.
        problems: what is wrong; nothing, if all is well.
        ledger: the runs of every activity.
        refused: calls that were not acknowledged, by what they were told.
        settled: seconds from the last kill to the last end.
    """

    outcomes: list[Outcome] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    ledger: dict[str, list[ActivityRun]] = field(default_factory=dict)
    refused: Counter[str] = field(default_factory=Counter)
    settled: float = 0.0

    @property
    def again(self) -> int:
        """How many runs of activities a kill cut off."""
        return sum(len(runs) - 1 for runs in self.ledger.values())


class Killing:
    """One run of the whole.

    Args:
        plan: what is done.
        client: of the sidecar that is killed.
        apps: the processes of the app.
        sidecar: the sidecar.
    """

    def __init__(
        self, plan: Plan, client: Client, apps: Sequence[KilledProcess], sidecar: KilledProcess
    ) -> None:
        self.report = Report()
        self._plan = plan
        self._client = client
        self._apps = apps
        self._sidecar = sidecar
        self._kills = 0
        self._killed = asyncio.Condition()
        self._chance = random.Random(plan.seed)  # noqa: S311 - it decides when to kill

    async def run(self) -> None:
        """Kill until the last kill, and wait until all workflows are over.

        Raises:
            TimeoutError: some are stuck.
        """
        plan = self._plan
        work: list[Coroutine[Any, Any, Outcome | None]] = []
        work += [self._ends(number) for number in range(plan.workflows)]
        work += [self._is_forgotten(number) for number in range(plan.workflows // DOOMED)]
        tasks = [asyncio.create_task(each) for each in work]
        try:
            await self._kill()
            last = time.monotonic()
            _, late = await asyncio.wait(tasks, timeout=plan.stuck)
            self.report.settled = time.monotonic() - last
            if late:
                self.report.problems.append(f"{len(late)} workflows are stuck")
        finally:
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
        for result in results:
            if isinstance(result, Outcome):
                self.report.outcomes.append(result)
            elif isinstance(result, Exception):
                self.report.problems.append(f"{type(result).__name__}: {result}")

    async def _kill(self) -> None:
        victims = [self._sidecar] * self._plan.kills
        victims += [self._chance.choice(self._apps) for _ in range(self._plan.kills)]
        self._chance.shuffle(victims)
        for victim in victims:
            await asyncio.sleep(self._chance.uniform(0, 2 * self._plan.pace))
            await victim.kill()
            await victim.begin()
            async with self._killed:
                self._kills += 1
                self._killed.notify_all()

    async def _turn(self, number: int, of: int) -> None:
        """Wait for as many kills as there are between this workflow and the first one."""
        wanted = 2 * self._plan.kills * number // of
        async with self._killed:
            await self._killed.wait_for(lambda: self._kills >= wanted)

    # ---- what is done ---------------------------------------------------------------------------

    async def _ends(self, number: int) -> Outcome:
        await self._turn(number, self._plan.workflows)
        kind, name = number % (len(KINDS) + 1), f"w{number}"
        if kind < len(KINDS):
            run = await self._start(KINDS[kind], None, name)
            return Outcome(name, await run.result(), {}, ())
        rounds = await self._start(kill_app.rounds, Rounds(), name)
        sent = await self._send_tokens(rounds)
        result = await rounds.result()
        return Outcome(name, result.runs, sent, result.seen)

    async def _send_tokens(self, run: "WorkflowRun[Any]") -> dict[str, bool]:
        """Send so many that each activity has one, each as often as it takes, then the end."""
        sent: dict[str, bool] = {}
        for number in range(STEPS):
            for attempt in range(sys.maxsize):
                text = f"{number}.{attempt}"
                sent[text] = await self._once(partial(run.send, kill_app.token, text))
                if sent[text]:
                    break
        await self._insist(partial(run.send, kill_app.token, STOP))
        return sent

    async def _is_forgotten(self, number: int) -> None:
        await self._turn(number, self._plan.workflows // DOOMED)
        run = await self._start(kill_app.doomed, None, f"d{number}")
        child = self._client.workflow(kill_app.waiting, kill_app.child_of(run.id))
        await self._insist(run.terminate)
        with contextlib.suppress(WorkflowFailed):
            await run.result()
            self.report.problems.append(f"{run.id} ended by itself")
        with contextlib.suppress(WorkflowFailed, NotFound):
            await child.result()
        await self._insist(run.purge)
        for each in (run, child):
            if await self._insist(each.status) is not None:
                self.report.problems.append(f"{each.id} is still there")

    async def _start(self, workflow: Any, data: Any, name: str) -> "WorkflowRun[Any]":
        """Start a workflow; who is not told tries again, and may find that it is there."""
        refused = False
        while True:
            try:
                return await self._client.start(workflow, data, id=name, reuse=False)
            except SidecarError as error:
                if error.status == CONFLICT and refused:
                    return self._client.workflow(workflow, name)
                if error.status == CONFLICT:
                    self.report.problems.append(f"{name} was there before it was started")
                refused = True
                await self._refused(error)

    async def _insist(self, call: Callable[[], Awaitable[T]]) -> T | None:
        """Make a call until it is answered; None where there is no such instance."""
        while True:
            try:
                return await call()
            except NotFound:
                return None
            except SidecarError as error:
                await self._refused(error)

    async def _once(self, call: Callable[[], Awaitable[None]]) -> bool:
        try:
            await call()
        except SidecarError as error:
            await self._refused(error)
            return False
        return True

    async def _refused(self, error: SidecarError) -> None:
        self.report.refused[f"{type(error).__name__} {error.status}: {error}"[:100]] += 1
        await asyncio.sleep(self._chance.uniform(0.05, 0.2))


@contextlib.asynccontextmanager
async def _processes(
    folder: Path, plan: Plan, ports: Ports, real: Services | None
) -> AsyncIterator[tuple[Sequence[KilledProcess], KilledProcess]]:
    ledger = folder / "ledger"
    ledger.mkdir()
    apps = [app_process(folder, ports, ledger, number) for number in range(plan.apps)]
    if real is None:
        sidecar = embedded_process(folder, ports)
    else:
        sidecar = daprd_process(folder, ports, real)
    order = [*apps, sidecar] if plan.seed % 2 else [sidecar, *apps]
    try:
        for each in order:
            await each.begin()
        yield apps, sidecar
    finally:
        for each in order:
            await each.kill()


async def kill_again_and_again(plan: Plan, folder: Path) -> Report:
    """Run everything in a folder of its own, and say what came of it."""
    ports = Ports.free()
    settings = Settings(
        http_endpoint=f"http://{HOST}:{ports.http}",
        grpc_endpoint=f"{HOST}:{ports.grpc}",
        health_timeout=0.0,
        http_timeout=10.0,
    )
    with contextlib.ExitStack() as stack:
        real = None if plan.runtime is None else stack.enter_context(services(plan.runtime, folder))
        async with (
            _processes(folder, plan, ports, real) as (apps, sidecar),
            Client(settings) as client,
        ):
            killing = Killing(plan, client, apps, sidecar)
            await killing.run()
    report = killing.report
    report.ledger = read_ledger(folder / "ledger")
    report.problems += problems(report.outcomes, report.ledger, alone=plan.apps == 1)
    return report


def main(words: Sequence[str]) -> int:
    """Do it once and print what came of it; return 1 where something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workflows", type=int, default=1000)
    parser.add_argument("--kills", type=int, default=50, help="of the app, and of the sidecar")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    parser.add_argument("--pace", type=float, default=1.0, help="mean seconds between kills")
    parser.add_argument("--dapr-runtime", type=Path, metavar="PATH")
    parser.add_argument("--folder", type=Path, help="where files stay; else they are removed")
    parser.add_argument("--apps", type=int, default=1, help="processes of the app")
    given = parser.parse_args(words)
    plan = Plan(
        given.workflows,
        given.kills,
        given.seed,
        given.pace,
        runtime=given.dapr_runtime,
        apps=given.apps,
    )
    sys.stdout.write(f"seed {plan.seed}\n")
    sys.stdout.flush()
    begun = time.monotonic()
    with contextlib.ExitStack() as stack:
        if given.folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        else:
            folder = given.folder
            folder.mkdir()
        report = asyncio.run(kill_again_and_again(plan, folder.resolve()))
    told = (
        f"{len(report.outcomes)} of {plan.workflows} workflows ended, the last one "
        f"{report.settled:.1f} s after the last of {2 * plan.kills} kills; "
        f"{sum(map(len, report.ledger.values()))} runs of activities, {report.again} of them again "
        f"after a kill; {time.monotonic() - begun:.0f} s in all"
    )
    lines = [told]
    lines += [f"  {count} x {text}" for text, count in report.refused.most_common()]
    lines += [f"WRONG: {problem}" for problem in report.problems[:SHOWN]]
    sys.stdout.writelines(f"{line}\n" for line in lines)
    return 1 if report.problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
