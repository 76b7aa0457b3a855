"""What the workflow commands do, once they know the sidecar and what was asked for."""

from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime

from daprflow.cli.workflow_hub import Hub
from daprflow.cli.workflow_timeline import Line, Timeline, nested
from daprflow.client.workflow_listing import Wanted, instances
from daprflow.client.workflow_runs import ENDED
from daprflow.errors import NotFound, SidecarError
from daprflow.launcher.exits import Exit, LaunchError
from daprflow.protocol.history import ChildCreated, HistoryEvent
from daprflow.protocol.workflow_actions import Instance, WorkflowState

UNREGISTERED = "WorkflowNotRegistered"
CONFLICT = 409
DEEPEST = 16
"""Generations of child workflows that a history shows."""
LOOKS = 5


@dataclass(frozen=True, slots=True)
class Start:
    """What is started.

    Attributes:
        input: JSON text.
        at: when it begins; None for at once.
        id: the instance's; empty for a new one.
    """

    name: str
    input: str | None = None
    at: datetime | None = None
    id: str = ""


@dataclass(frozen=True, slots=True)
class Doomed:
    """Which instances are purged together.

    Attributes:
        ended_before: only those that ended before; None for all.
        dry: whether they are told and not purged.
    """

    wanted: Wanted
    ended_before: datetime | None
    recursive: bool
    force: bool
    dry: bool


async def start(hub: Hub, wanted: Start, *, wait: bool) -> Instance:
    """Start an instance; return its state then, or when it has ended.

    Raises:
        LaunchError: the app has no such workflow, or the id is in use.
    """
    try:
        instance = await hub.calls.start(
            wanted.name, wanted.id, wanted.input, at=wanted.at, reuse=True
        )
    except SidecarError as error:
        if error.status != CONFLICT:
            raise
        raise LaunchError(
            f"workflow instance '{wanted.id}' of {hub.place.where} has not ended; start another "
            "id, or end that one before"
        ) from None
    found = await (hub.calls.wait(instance) if wait else hub.calls.get(instance))
    if found.failure is not None and found.failure.type == UNREGISTERED:
        raise LaunchError(found.failure.message, Exit.FAILED)
    return found


async def show(hub: Hub, instance: str) -> tuple[Instance, tuple[str, ...]]:
    """Return an instance and what it waits for."""
    found = await hub.known(instance, hub.calls.get(instance))
    if found.status in ENDED or not found.created:
        return found, ()
    found, events = await _of_one_turn(hub, found)
    return found, () if found.status in ENDED else Timeline(events).open_steps


async def history(hub: Hub, instance: str) -> tuple[HistoryEvent, ...]:
    """Return the events of an instance."""
    return await hub.known(instance, hub.calls.history(instance))


async def timeline(hub: Hub, instance: str, *, children: bool) -> tuple[Instance, list[Line]]:
    """Return an instance and its history as lines, those of its child workflows inside."""
    found = await hub.known(instance, hub.calls.get(instance))
    found, events = await _of_one_turn(hub, found)
    return found, await _lines(hub, events, DEEPEST if children else 0)


async def _of_one_turn(hub: Hub, found: Instance) -> tuple[Instance, tuple[HistoryEvent, ...]]:
    """Return an instance and its events, told by two calls, as they were after the same turn.

    One that takes a turn each time it is looked at is told as it was last seen.
    """
    events: tuple[HistoryEvent, ...] = ()
    for _ in range(LOOKS):
        events = await history(hub, found.id)
        seen, found = found, await hub.known(found.id, hub.calls.get(found.id))
        if found == seen:
            break
    return found, events


async def _lines(hub: Hub, events: Sequence[HistoryEvent], depth: int) -> list[Line]:
    below: dict[str, Sequence[Line]] = {}
    for event in events:
        if depth and isinstance(event, ChildCreated):
            try:
                inner = await hub.calls.history(event.instance)
            except NotFound:
                continue  # another app's, purged, or not begun yet
            below[event.instance] = await _lines(hub, inner, depth - 1)
    return nested(Timeline(events).lines, below)


async def raise_event(hub: Hub, instance: str, event: str, data: str | None) -> None:
    """Give an instance an event.

    Raises:
        LaunchError: it has ended, so that nobody would hear of it.
    """
    found = await _unended(hub, instance)
    await hub.known(instance, hub.calls.raise_event(found.id, event, data))


async def suspend(hub: Hub, instance: str, reason: str) -> None:
    """Have an instance hold still."""
    found = await _unended(hub, instance)
    await hub.known(instance, hub.calls.suspend(found.id, reason))


async def resume(hub: Hub, instance: str, reason: str) -> None:
    """Have a suspended instance go on.

    Raises:
        LaunchError: it is not suspended.
    """
    found = await _unended(hub, instance)
    if found.status is not WorkflowState.SUSPENDED:  # workers take that for an error
        raise LaunchError(f"workflow instance '{instance}' is {found.status.name}, not SUSPENDED")
    await hub.known(instance, hub.calls.resume(found.id, reason))


async def terminate(hub: Hub, instance: str, output: str | None, *, recursive: bool) -> None:
    """End an instance."""
    found = await _unended(hub, instance)
    await hub.known(instance, hub.calls.terminate(found.id, output, recursive=recursive))


async def purge(hub: Hub, instance: str, *, recursive: bool, force: bool) -> int:
    """Forget an instance; return how many were forgotten.

    Raises:
        LaunchError: it has not ended.
    """
    found = await hub.known(instance, hub.calls.get(instance))
    if found.status not in ENDED and not force:
        raise LaunchError(
            f"workflow instance '{instance}' is {found.status.name}; end it with "
            f"'daprflow workflow terminate {instance}', or purge it with --force"
        )
    purged = hub.calls.purge(instance, recursive=recursive, force=force)
    return await hub.known(instance, purged)


async def purge_many(hub: Hub, doomed: Doomed) -> tuple[int, tuple[str, ...]]:
    """Forget all instances that fit; return how many were, and what could not be."""
    limit = None if doomed.ended_before is None else doomed.ended_before.timestamp() * 1e9
    async with aclosing(instances(hub.calls, doomed.wanted)) as found:
        ids = [
            each.id
            async for each in found
            if limit is None or (each.completed or each.updated) < limit
        ]
    if doomed.dry:
        return len(ids), tuple(ids)
    count, problems = 0, []
    for each in ids:
        try:
            count += await hub.calls.purge(each, recursive=doomed.recursive, force=doomed.force)
        except NotFound:
            continue  # it went with its parent
        except SidecarError as error:
            problems.append(f"'{each}' was not purged: {error}")
    return count, tuple(problems)


async def rerun(hub: Hub, instance: str, event: int, new: str | None, data: str | None) -> str:
    """Begin a new instance with an old one's history up to a step; return its id.

    Raises:
        LaunchError: it has not ended, or has no such step.
    """
    found = await hub.known(instance, hub.calls.get(instance))
    if found.status not in ENDED:
        raise LaunchError(
            f"workflow instance '{instance}' is {found.status.name}; only one that has ended is "
            "run again"
        )
    overwrite = data is not None
    try:
        return await hub.calls.rerun(instance, event, new, data, overwrite=overwrite)
    except NotFound:
        raise LaunchError(
            f"workflow instance '{instance}' has no step {event} that can be done again; "
            f"'daprflow workflow history {instance}' shows its steps",
            Exit.MISSING,
        ) from None


async def _unended(hub: Hub, instance: str) -> Instance:
    found = await hub.known(instance, hub.calls.get(instance))
    if found.status in ENDED:
        raise LaunchError(f"workflow instance '{instance}' has ended already: {found.status.name}")
    return found
