"""Going through the instances of a sidecar: the ids in pages, the instances a few at a time."""

import asyncio
from collections.abc import AsyncGenerator, Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from daprflow.errors import NotFound
from daprflow.protocol.workflow_actions import Instance, WorkflowState

if TYPE_CHECKING:
    from daprflow.client.workflow_calls import WorkflowCalls

AT_ONCE = 16
"""Calls under way while instances are looked up: the runtime lists ids alone."""
ALL = frozenset(WorkflowState)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which instances are looked for.

    Attributes:
        name: of their workflow; None for any.
        states: one of which they are in.
        since: when they were started at the earliest.
        until: before when they were started.
    """

    name: str | None = None
    states: Collection[WorkflowState] = field(default=ALL)
    since: datetime | None = None
    until: datetime | None = None

    def fits(self, instance: Instance) -> bool:
        """Tell whether an instance is one of them."""
        created = instance.created / 1e9
        return (
            instance.status in self.states
            and (self.name is None or instance.name == self.name)
            and (self.since is None or created >= _seconds(self.since))
            and (self.until is None or created < _seconds(self.until))
        )


async def instances(calls: "WorkflowCalls", wanted: Wanted) -> AsyncGenerator[Instance, None]:
    """Go through the instances that fit, in the order in which the sidecar lists them.

    Raises:
        SidecarError: the store that keeps them cannot list keys.
    """
    token: str | None = None
    while True:
        page, token = await calls.ids(token)
        for first in range(0, len(page), AT_ONCE):
            some = page[first : first + AT_ONCE]
            for found in await asyncio.gather(*(_unless_gone(calls, each) for each in some)):
                if found is not None and wanted.fits(found):
                    yield found
        if token is None:
            return


def _seconds(moment: datetime) -> float:
    """Return a point in time; one without a zone is UTC, as it is everywhere in workflows."""
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()


async def _unless_gone(calls: "WorkflowCalls", instance: str) -> Instance | None:
    try:
        return await calls.get(instance)
    except NotFound:
        return None  # purged meanwhile
