"""The apps of a run that are on their way up: calls on them wait, and long waits are explained."""

import asyncio
import logging
from collections import Counter
from collections.abc import Iterable

from daprflow.sidecar.clock import Clock, sleep_until

logger = logging.getLogger(__name__)

PATIENCE = 3.0
"""Seconds that a call waits before a line says for whom."""


class Arrivals:
    """Who is expected, and who waits for whom meanwhile.

    Apps that start together start in any order: a call on one that is not up yet waits for it, as
    if it had been slow to answer. Where two wait for each other, both say so.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._expected: dict[str, asyncio.Event] = {}
        self._waiting: dict[str, Counter[str]] = {}
        self._told: set[frozenset[str]] = set()

    def expect(self, app_ids: Iterable[str]) -> None:
        """Have calls on these apps wait until they are up."""
        for app_id in app_ids:
            self._expected.setdefault(app_id, asyncio.Event())

    def arrived(self, app_id: str) -> None:
        """Let calls on an app through."""
        event = self._expected.pop(app_id, None)
        if event is not None:
            event.set()

    give_up = arrived

    async def wait_for(self, callee: str, caller: str) -> None:
        """Wait until an app is up, or is given up; not at all for one that nobody expects."""
        event = self._expected.get(callee)
        if event is None:
            return
        calls = self._waiting.setdefault(caller, Counter())
        calls[callee] += 1
        explaining = asyncio.create_task(self._explain(callee, caller))
        try:
            await event.wait()
        finally:
            explaining.cancel()
            calls[callee] -= 1
            if not calls[callee]:
                del calls[callee]
            if not calls:
                self._waiting.pop(caller, None)

    async def _explain(self, callee: str, caller: str) -> None:
        """Say after a while who waits for whom, once for all who wait in a ring."""
        await sleep_until(self._clock, self._clock.now() + PATIENCE)
        ring = self._ring(callee, caller)
        apps = frozenset(one for one, _ in ring)
        if apps in self._told:
            return
        if ring:
            self._told.add(apps)
            logger.warning(
                "these apps wait for each other and none can come up: %s; "
                "call other apps after the start, not in a lifespan or a provider",
                ", ".join(f"'{one}' calls '{other}'" for one, other in ring),
            )
        else:
            logger.warning(
                "app '%s' calls app '%s', which is not up yet: the call waits", caller, callee
            )

    def _ring(self, callee: str, caller: str) -> list[tuple[str, str]]:
        """Return the calls that lead from ``callee`` back to ``caller``; none where none do."""
        before: dict[str, str] = {callee: caller}
        queue = [callee]
        while queue:
            name = queue.pop(0)
            for other in self._waiting.get(name, ()):
                if other == caller:
                    return _steps(before, name, caller)
                if other not in before:
                    before[other] = name
                    queue.append(other)
        return []


def _steps(before: dict[str, str], last: str, caller: str) -> list[tuple[str, str]]:
    """Return the calls from ``caller`` over ``last`` back to it, in their order."""
    steps = [(last, caller)]
    while last != caller:
        steps.append((before[last], last))
        last = before[last]
    return steps[::-1]
