"""What workflow commands read of an instance that goes on meanwhile."""

from collections.abc import Awaitable
from itertools import count
from typing import TypeVar, cast

import msgspec

from daprflow.cli import workflow_acts as acts
from daprflow.cli.workflow_hub import Hub
from daprflow.protocol.history import HistoryEvent, TaskCompleted, TaskScheduled
from daprflow.protocol.workflow_actions import Instance, WorkflowState

T = TypeVar("T")
BEGUN = Instance("s1", "checkout", status=WorkflowState.RUNNING, created=1, updated=2)
PAID = msgspec.structs.replace(BEGUN, updated=3, custom_status="paid 10")
OVER = msgspec.structs.replace(PAID, updated=4, status=WorkflowState.COMPLETED)
CHARGES = TaskScheduled(0, id=0, name="charge")
PACKS = (CHARGES, TaskCompleted(0, scheduled=0), TaskScheduled(0, id=1, name="pack"))


class Moving:
    """Stands where a hub has its calls: each call tells the next state, and then the last one."""

    def __init__(self, *told: Instance | tuple[HistoryEvent, ...]) -> None:
        self.calls = self
        self._states = [each for each in told if isinstance(each, Instance)]
        self._histories = [each for each in told if isinstance(each, tuple)]

    async def known(self, _instance: str, call: Awaitable[T]) -> T:
        """Return what a call gives."""
        return await call

    async def get(self, _instance: str) -> Instance:
        """Tell the state."""
        return self._states.pop(0) if len(self._states) > 1 else self._states[0]

    async def history(self, _instance: str) -> tuple[HistoryEvent, ...]:
        """Tell the events."""
        return self._histories.pop(0) if len(self._histories) > 1 else self._histories[0]


async def test_what_is_shown_of_an_instance_is_of_one_turn() -> None:
    """A turn between the two calls makes them again, so that the status is that of the steps."""
    hub = cast("Hub", Moving(BEGUN, PAID, (CHARGES,), PACKS))
    assert await acts.show(hub, "s1") == (PAID, ("activity 'pack' (step 1)",))


async def test_an_instance_that_ends_while_it_is_looked_at_waits_for_nothing() -> None:
    """Its last state is shown, without the steps of the one before."""
    hub = cast("Hub", Moving(PAID, OVER, PACKS))
    assert await acts.show(hub, "s1") == (OVER, ())


async def test_an_instance_that_never_stands_still_is_shown_all_the_same() -> None:
    """After some looks it is told as it was last seen."""
    busy = (msgspec.structs.replace(BEGUN, updated=number) for number in count())
    hub = cast("Hub", Moving(*(next(busy) for _ in range(50)), (CHARGES,)))
    found, lines = await acts.timeline(hub, "s1", children=False)
    assert (found.updated, len(lines)) == (acts.LOOKS, 1)
