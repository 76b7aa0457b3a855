"""One seed: a program, a world around it, and what must hold whatever happened."""

import asyncio
import gc
import hashlib
import logging
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.simulation.checks import Checks, model_of, unread
from tests.simulation.clients import Clients
from tests.simulation.grammar import Author, Order, Scenario
from tests.simulation.ledger import Execution
from tests.simulation.loop import SimulationLoop
from tests.simulation.model import Wrong
from tests.simulation.world import START, World

NUDGES = 60


@dataclass(frozen=True, slots=True)
class Report:
    """What a run came to.

    Attributes:
        steps: how many things happened.
        cuts: how many of them should not have.
        digest: of all that happened, in order.
    """

    seed: int
    steps: int
    cuts: int
    activities: int
    digest: str


class Run:
    """One seed."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.scenario: Scenario = Author(random.Random(f"{seed}: program")).write()  # noqa: S311 - no secret
        self.world: World | None = None
        self.problems: list[str] = []
        self._clients: Clients | None = None
        self._nudges = 0
        self._purged = False

    def report(self) -> Report:
        """Run it.

        Raises:
            Wrong: something did not hold.
        """
        loop = SimulationLoop(
            lambda: START if self.world is None else self.world.time, self._happen
        )
        loop.set_exception_handler(self._accident)
        before = random.getstate()
        random.seed(self.seed)
        try:
            with _listening(self.problems):
                loop.run_until_complete(self._live())
        finally:
            random.setstate(before)
            _empty(loop)
            if self.world is not None:
                self.world.end()
        world = self._world
        if self.problems:
            raise Wrong("; ".join(self.problems))
        digest = hashlib.sha256("\n".join(world.trace).encode()).hexdigest()
        count = sum(map(len, world.executed.values()))
        return Report(self.seed, len(world.trace), len(world.cuts), count, digest)

    @property
    def _world(self) -> World:
        assert self.world is not None
        return self.world

    def _accident(self, _: Any, context: dict[str, Any]) -> None:
        self.problems.append(f"{context.get('message')}: {context.get('exception')!r}")

    def _now(self) -> float:
        return START if self.world is None else self.world.time

    def _happen(self, until: float | None) -> None:
        if self.problems:
            raise Wrong("; ".join(self.problems))
        self._world.happen(until)

    async def _live(self) -> None:
        chance = random.Random(f"{self.seed}: world")  # noqa: S311 - no secret
        world = self.world = World(self.scenario, chance, self._quiet)
        self._clients = Clients(world, self.scenario)
        await world.over
        Checks(self.scenario, world, self._clients).check()
        for life in world.workers:
            await life.stop()
        await world.sidecar.close()

    # ---- when nothing happens by itself ---------------------------------------------------------

    def _quiet(self) -> bool:
        """Have clients go on; tell whether everything has ended.

        Raises:
            Wrong: something is stuck.
        """
        world, clients = self._world, self._clients
        assert clients is not None
        living = world.ledger.living
        if not living and not clients.busy:
            if self._purged or self.seed % 4:
                return True
            self._purged = True
            clients.left = unread(world)
            for instance in self.scenario.roots:
                clients.purge(instance)
            return False
        waiting = [
            name
            for name, event in world.ledger.look_at_inboxes(world.sidecar.writer.reader)
            if any(each.instance == name for each in living)
        ]
        if waiting:
            raise Wrong(f"stuck: {waiting} have events that nobody takes")
        wanted = [each for execution in living for each in self._wanted(execution)]
        self._nudges += len(wanted)
        if not wanted or self._nudges > NUDGES:
            raise Wrong(f"stuck: {[each.instance for each in living]}, {clients.busy} calls")
        world.budget = 0  # what is left would go wrong at these few moments alone
        for number, order in enumerate(wanted):
            payload = f"{order.instance}-more-{self._nudges}-{number}"
            clients.order(Order("raise", order.instance, order.event, payload))
        return False

    def _wanted(self, execution: Execution) -> Iterator[Order]:
        model = model_of(self.scenario, self._world, execution)
        if model.open_calls():
            raise Wrong(f"stuck: nobody does {model.open_calls()} of '{execution.instance}'")
        for name in model.awaited():
            yield Order("raise", execution.instance, name)


class _Listener(logging.Handler):
    """Notes what the worker says that must not be said."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__(logging.ERROR)
        self._problems = problems

    def emit(self, record: logging.LogRecord) -> None:
        """Note it."""
        if record.name.startswith("daprflow.workflows"):
            error = record.exc_info[1] if record.exc_info else ""
            self._problems.append(f"{record.getMessage()} {error!r}")


@contextmanager
def _listening(problems: list[str]) -> Iterator[None]:
    """Listen to what is logged, and have nobody else do so: it costs more than all the rest."""
    logger, listener = logging.getLogger("daprflow"), _Listener(problems)
    level, propagates = logger.level, logger.propagate
    logger.setLevel(logging.ERROR)
    logger.propagate = False
    logger.addHandler(listener)
    try:
        yield
    finally:
        logger.removeHandler(listener)
        logger.setLevel(level)
        logger.propagate = propagates


def _empty(loop: asyncio.BaseEventLoop) -> None:
    """Close a loop whose tasks nobody needs any more."""
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    loop._selector = _Idle()  # type: ignore[attr-defined]  # nothing happens any more
    if tasks:
        loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
    loop.close()


class _Idle:
    """A chooser that does nothing."""

    def select(self, _: float | None) -> list[Any]:
        """Do nothing."""
        return []

    def close(self) -> None:
        """Likewise."""


def simulate(seed: int) -> Report:
    """Run one seed.

    Raises:
        Wrong: something did not hold; the text says how to see it again.
    """
    run = Run(seed)
    try:
        return run.report()
    except BaseException as error:
        if not isinstance(error, Exception):
            raise
        trace = [] if run.world is None else run.world.trace[-30:]
        raise Wrong(
            f"seed {seed}: {type(error).__name__}: {error}\n"
            f"again: pytest tests/simulation --simulation-seed {seed}\n"
            + "\n".join(f"  {each}" for each in trace)
        ) from error
    finally:
        gc.collect(0)
