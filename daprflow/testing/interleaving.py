"""The order in which calls and deliveries that wait at the same time go on: chosen by a seed."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from daprflow.testing.targets import Operation

if TYPE_CHECKING:
    from daprflow.testing.sidecar import TestSidecar

QUIET_ROUNDS = 25
"""Turns of the loop in which nobody else arrived, after which the next one is chosen."""
SHRINKS = 200
"""How often a failing scenario is run again to find a smaller schedule."""

Seed = int | Sequence[int]
"""A number for random choices; or the choices: 0 is who came first, and so is all that is missing.
"""


@dataclass(frozen=True, slots=True)
class Step:
    """One call that went on: which, of how many that waited, and the place it had among them."""

    operation: Operation
    choice: int
    waiting: int

    def __str__(self) -> str:
        each = self.operation
        words = " ".join(part for part in (each.kind, each.name, each.what, each.detail) if part)
        return f"{words}  (before {self.choice} that came earlier)" if self.choice else words


class Conductor:
    """Holds every call until nothing else can run, then lets one of them go on.

    Use it inside ``async with``.
    """

    def __init__(self, seed: Seed) -> None:
        self.steps: list[Step] = []
        self._random = random.Random(seed) if isinstance(seed, int) else None  # noqa: S311 - no secret
        self._given = () if isinstance(seed, int) else tuple(seed)
        self._made = 0
        self._parked: list[tuple[Operation, asyncio.Future[None]]] = []
        self._arrivals = 0
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def choices(self) -> tuple[int, ...]:
        """What was chosen wherever more than one waited."""
        return tuple(step.choice for step in self.steps if step.waiting > 1)

    async def turn(self, operation: Operation) -> None:
        """Wait until this call is the one that goes on."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        place = (operation, waiter)
        self._parked.append(place)
        self._arrivals += 1
        self._news.set()
        try:
            await waiter
        finally:
            if place in self._parked:
                self._parked.remove(place)

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._conduct(), name="order of calls in a test")
        return self

    async def __aexit__(self, *failure: object) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        for _, waiter in self._parked:
            if not waiter.done():
                waiter.set_result(None)

    async def _conduct(self) -> None:
        while True:
            await self._news.wait()
            await self._quiet()
            if not self._parked:
                self._news.clear()
                continue
            choice = self._choose(len(self._parked))
            operation, waiter = self._parked.pop(choice)
            self.steps.append(Step(operation, choice, len(self._parked) + 1))
            if not self._parked:
                self._news.clear()
            if not waiter.done():
                waiter.set_result(None)

    async def _quiet(self) -> None:
        """Return when nobody has come for a while."""
        seen, rounds = self._arrivals, 0
        while rounds < QUIET_ROUNDS:
            await asyncio.sleep(0)
            rounds = rounds + 1 if seen == self._arrivals else 0
            seen = self._arrivals

    def _choose(self, waiting: int) -> int:
        if waiting == 1:
            return 0
        made, self._made = self._made, self._made + 1
        if self._random is not None:
            return self._random.randrange(waiting)
        return min(self._given[made], waiting - 1) if made < len(self._given) else 0


class InterleavingFailed(AssertionError):  # noqa: N818 - named for what happened
    """A scenario fails in some order of its calls.

    Attributes:
        seed: the first one that fails.
        choices: the smallest schedule that was found to fail; ``TestSidecar(app, seed=choices)``
            runs it again.

    Example:
        ```python
        async def two_at_once(dapr: TestSidecar) -> None:
            cart = dapr.actor(CartActor, "ann")
            await asyncio.gather(cart.add("tea"), cart.add("milk"))

        try:
            await explore(lambda seed: TestSidecar(app, seed=seed), two_at_once)
        except InterleavingFailed as error:
            print(error.seed, error.choices)
        ```
    """

    def __init__(self, text: str, seed: int, choices: tuple[int, ...]) -> None:
        super().__init__(text)
        self.seed = seed
        self.choices = choices


Make = Callable[[Seed], "TestSidecar"]
Scenario = Callable[["TestSidecar"], Awaitable[Any]]


async def explore(make: Make, scenario: Scenario, seeds: int | Iterable[int] = 100) -> int:
    """Run a scenario in many orders of its calls, deliveries and turns.

    Each run has a sidecar of its own, and its calls go on one at a time, in an order that the seed
    chooses among those that wait. What fails is run again in smaller schedules.

    Args:
        make: gives a new sidecar for a seed: ``lambda seed: TestSidecar(app, seed=seed)``.
        scenario: what is done with each; it uses ``asyncio.gather`` for what is to overlap.
        seeds: how many, from 0, or which.

    Returns:
        how many different schedules there were.

    Raises:
        InterleavingFailed: one fails; the text shows the smallest schedule that does.

    Example:
        ```python
        async def two_at_once(dapr: TestSidecar) -> None:
            cart = dapr.actor(CartActor, "ann")
            await asyncio.gather(cart.add("tea"), cart.add("milk"))

        await explore(lambda seed: TestSidecar(app, seed=seed), two_at_once, seeds=50)
        ```
    """
    seen: set[tuple[int, ...]] = set()
    for seed in range(seeds) if isinstance(seeds, int) else seeds:
        steps, error = await _run(make, scenario, seed)
        choices = _choices(steps)
        if error is None:
            seen.add(choices)
            continue
        smallest, steps, error = await _shrink(make, scenario, (choices, steps, error))
        raise InterleavingFailed(_text(seed, smallest, steps, error), seed, smallest) from error
    return len(seen)


Failed = tuple[tuple[int, ...], list[Step], Exception]


async def _run(make: Make, scenario: Scenario, seed: Seed) -> tuple[list[Step], Exception | None]:
    dapr = make(seed)
    error: Exception | None = None
    async with dapr:
        try:
            await scenario(dapr)
        except Exception as failure:  # noqa: BLE001 - whatever a test fails with
            error = failure
        steps = list(dapr.steps)
    return steps, error


async def _shrink(make: Make, scenario: Scenario, failed: Failed) -> Failed:
    """Return the smallest schedule that still fails with an error of the same type."""
    best = (_trimmed(failed[0]), failed[1], failed[2])
    tried = {best[0]}
    left = SHRINKS
    improved = True
    while improved and left:
        improved = False
        for candidate in _smaller(best[0]):
            if candidate in tried or not left:
                continue
            tried.add(candidate)
            left -= 1
            steps, error = await _run(make, scenario, candidate)
            if error is not None and type(error) is type(failed[2]):
                best = (candidate, steps, error)
                improved = True
                break
    return best


def _smaller(choices: tuple[int, ...]) -> Iterable[tuple[int, ...]]:
    """Give schedules nearer to first come, first served: the boldest first."""
    yield ()
    length = len(choices)
    cut = length // 2
    while cut:
        yield _trimmed(choices[: length - cut])
        cut //= 2
    for place, choice in enumerate(choices):
        if choice:
            yield _trimmed((*choices[:place], 0, *choices[place + 1 :]))
    for place, choice in enumerate(choices):
        yield _trimmed((*choices[:place], *choices[place + 1 :]))
        if choice > 1:
            yield (*choices[:place], choice - 1, *choices[place + 1 :])


def _choices(steps: Iterable[Step]) -> tuple[int, ...]:
    return tuple(step.choice for step in steps if step.waiting > 1)


def _trimmed(choices: tuple[int, ...]) -> tuple[int, ...]:
    """Leave out what comes in the usual order anyway."""
    end = len(choices)
    while end and choices[end - 1] == 0:
        end -= 1
    return choices[:end]


def _text(seed: int, choices: tuple[int, ...], steps: Sequence[Step], error: Exception) -> str:
    lines = [f"{number:>4}. {step}" for number, step in enumerate(steps, 1)]
    said = str(error).strip() or "no text"
    return "\n".join(
        (
            f"seed {seed} fails with {type(error).__name__}: {said}",
            f"the smallest schedule that fails so is {choices!r}:",
            *lines,
            f"run it alone with TestSidecar(app, seed={choices!r})",
        )
    )
