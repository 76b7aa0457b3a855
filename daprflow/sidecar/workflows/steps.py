"""What follows from the answers of workers: each step is kept as a whole, then it takes effect."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from daprflow.protocol import workflow_messages as wf
from daprflow.sidecar.components.base import ComponentError
from daprflow.sidecar.workflows import events
from daprflow.sidecar.workflows.host import SHARE
from daprflow.sidecar.workflows.instance import Instance, Waiting
from daprflow.sidecar.workflows.problems import WorkflowProblem
from daprflow.sidecar.workflows.reuse import Occupied, taken_by
from daprflow.sidecar.workflows.store import Changes
from daprflow.sidecar.workflows.turn import Author, Outgoing, Step, advance, stall

if TYPE_CHECKING:
    from daprflow.sidecar.workflows.host import WorkStream
    from daprflow.sidecar.workflows.hub import WorkflowHub
    from daprflow.sidecar.workflows.items import TaskItem, TurnItem

logger = logging.getLogger(__name__)

EXISTS = "WorkflowInstanceAlreadyExists"
_KEPT = frozenset({"eventRaised", "executionSuspended", "executionResumed", "executionTerminated"})
"""What still concerns an instance that continued as new; the rest was for its last execution."""


@dataclass(slots=True)
class _Effects:
    """What a step does to other instances once it is kept."""

    begun: list[Instance] = field(default_factory=list)
    arrived: list[Instance] = field(default_factory=list)


class Steps:
    """Takes the answers of workers.

    Args:
        hub: has the instances.
    """

    def __init__(self, hub: "WorkflowHub") -> None:
        self._hub = hub

    # ---- answers --------------------------------------------------------------------------------

    async def complete_turn(self, app_id: str, response: wf.WorkflowResponse) -> None:
        """Take what came of a turn; an answer that nobody waits for is left out.

        Raises:
            ComponentError: the step could not be kept; the turn is done again.
        """
        instance = self._hub.find(app_id, response.instanceId)
        turn = None if instance is None else instance.turn
        if instance is None or turn is None or not turn.batch or turn.done:
            return
        if response.completionToken and response.completionToken != turn.token:
            return
        watch = self._hub.host(app_id).watch
        spans = watch is not None and watch.spans
        author = Author(app_id, response.instanceId, self._hub.clock.now(), spans=spans)
        step = advance(instance.execution, turn.batch, response, author)
        held = await self._look_up(instance, turn, step)
        if instance.gone:
            return
        problem = self._oversize(app_id, step)
        if problem is not None:
            reason = wf.PAYLOAD_SIZE_EXCEEDED
            step = stall(instance.execution, reason, problem, author.now)
        if not step.stalled:
            instance.refused.clear()
            if watch is not None:
                watch.advanced(instance, turn.batch, step)
        elif turn.stream is not None:
            instance.refused.add(turn.stream)
        keeping = self._keep(instance, turn, step)
        del held
        await asyncio.shield(keeping)

    async def _look_up(
        self, instance: Instance, turn: "TurnItem", step: Step
    ) -> Sequence[Instance]:
        """Have those in memory that a step is about, where that takes a while.

        Raises:
            ComponentError: they cannot be read; the turn is done again.
        """
        homes = self._hub.homes
        if homes.is_plain or not (step.creations or step.messages):
            return ()
        turn.done = True  # no other answer counts from now on
        created = [(each.app_id, each.instance_id) for each in step.creations]
        told = [(each.app_id, each.instance_id) for each in step.messages]
        try:
            return (*await homes.fetch_tree(*created), *await homes.fetch(*told))
        except (ComponentError, WorkflowProblem) as error:
            logger.error("workflow '%s' cannot go on yet: %s", instance.row.instance_id, error)  # noqa: TRY400 - the text says all
            self._hub.give_up(instance)
            raise ComponentError(str(error)) from error

    async def complete_task(self, app_id: str, response: wf.ActivityResponse) -> None:
        """Take what came of an activity; an answer that nobody waits for is left out.

        Raises:
            ComponentError: the result could not be kept; the activity may be done again.
        """
        hub = self._hub
        item = hub.host(app_id).task(response.instanceId, response.taskId, response.completionToken)
        if item is None:
            return
        instance = item.instance
        if instance.tasks.get(item.task_id) is not item:  # of an execution that is over
            hub.host(app_id).finish(item)
            return
        del instance.tasks[item.task_id]
        if (watch := hub.host(app_id).watch) is not None:
            watch.answered(item, response)
        event = events.task_result(item.scheduled, response, hub.clock.now())
        try:
            await asyncio.shield(hub.add(instance, event))
        finally:
            hub.host(app_id).finish(item)

    # ---- size -----------------------------------------------------------------------------------

    def fits(self, turn: "TurnItem", stream: "WorkStream") -> bool:
        """Tell whether a message can hold a turn; its instance stalls where none can.

        The whole history counts, as in the real runtime, though a worker that keeps histories is
        sent what is new: what would stall with the next worker does so with this one. A worker that
        takes histories in pages does not stall.
        """
        if stream.limit < 0:
            return True
        instance = turn.instance
        received = len(instance.row.received or b"")
        arrived = sum(event.ByteSize() for event in turn.batch[1:])
        if stream.holds(instance.size_since(0) + received + arrived):
            return True
        if stream.paged and stream.holds(received + arrived):
            _tell_long(instance, stream.limit)
            return True
        size = sum(event.ByteSize() for event in instance.history()) + received + arrived
        if stream.holds(size):
            return True  # the events alone count, not how they are framed
        text = (
            f"Workflow payload size {size} bytes exceeds {SHARE}% of max gRPC body size "
            f"{stream.limit} bytes; increase daprd --max-body-size and restart to resume"
        )
        now = self._hub.clock.now()
        step = stall(instance.execution, wf.PAYLOAD_SIZE_EXCEEDED, text, now)
        instance.refused.add(stream)
        self._keep(instance, turn, step).add_done_callback(_noted)
        return False

    def _oversize(self, app_id: str, step: Step) -> str | None:
        """Return why an activity of a step cannot be sent."""
        limit = min((stream.limit for stream in self._hub.host(app_id).streams), default=-1)
        if limit < 0:
            return None
        for event in step.tasks:
            size = event.ByteSize()
            if size * 100 > limit * SHARE:
                return (
                    f"activity '{event.taskScheduled.name}::{event.eventId}' payload {size} bytes "
                    f"exceeds {SHARE}% of max gRPC body size {limit} bytes; increase daprd "
                    "--max-body-size and restart to resume: activity payload exceeds max gRPC "
                    "body size"
                )
        return None

    # ---- keeping a step -------------------------------------------------------------------------

    def _keep(self, instance: Instance, turn: "TurnItem", step: Step) -> asyncio.Future[None]:
        """Write a step down; it takes effect when that is done."""
        turn.done = True
        changes, effects = Changes(), _Effects()
        old_tasks: Sequence[TaskItem] = ()
        if step.restart is not None:
            old_tasks = tuple(instance.tasks.values())
            self._continue_as_new(instance, turn, step, changes)
        else:
            if not step.stalled:
                self._consume(instance, turn, changes)
            if step.events:
                number, data = instance.grow(step.events)
                changes.append(instance.row, number, data)
        if not step.stalled:
            status = step.custom_status
            custom = None if status is None else status.value or None
            if custom != instance.row.custom:
                instance.row = replace(instance.row, custom=custom)
        for creation in step.creations:
            self._create(instance, creation, changes, effects)
        for message in step.messages:
            self._send(message, changes, effects)
        if instance.execution.completed is not None:
            instance.kept_until = self.kept_until(instance)
        self._describe(instance, 0.0 if step.tasks else instance.wake(), changes)
        future = self._hub.commit(instance, changes)
        instance.step = future
        future.add_done_callback(partial(self._kept, instance, turn, step, effects))
        for task in old_tasks:
            self._hub.host(task.app_id).finish(task)
        return future

    def _describe(self, instance: Instance, wake: float | None, changes: Changes) -> None:
        """Write down when an instance goes on and what it says of itself, where that changed."""
        instance.roused = wake == 0.0
        described = (instance.row.generation, instance.row.custom, wake)
        if instance.described != described or instance.row.kept is not None:
            changes.update(instance.row, wake)
            instance.described = described

    def kept_until(self, instance: Instance) -> float | None:
        """Return when an instance that is over now is to be forgotten."""
        kept = self._hub.host(instance.row.app_id).settings.retention
        by_status: Mapping[int, float | None] = {
            wf.ORCHESTRATION_STATUS_COMPLETED: kept.completed,
            wf.ORCHESTRATION_STATUS_FAILED: kept.failed,
            wf.ORCHESTRATION_STATUS_TERMINATED: kept.terminated,
        }
        seconds = by_status.get(instance.status)
        seconds = kept.any_terminal if seconds is None else seconds
        return None if seconds is None else self._hub.clock.now() + seconds

    def _consume(self, instance: Instance, turn: "TurnItem", changes: Changes) -> None:
        taken = instance.take(turn.taken)
        keys = (waiting.key for waiting in taken if waiting.key is not None)
        changes.consume(instance.row, keys)

    def _continue_as_new(
        self, instance: Instance, turn: "TurnItem", step: Step, changes: Changes
    ) -> None:
        """Begin the next execution with what it is given, then what arrived meanwhile."""
        self._consume(instance, turn, changes)
        rest = instance.take(len(instance.inbox))
        keys = (waiting.key for waiting in rest if waiting.key is not None)
        changes.consume(instance.row, keys)
        changes.forget_history(instance.row)
        instance.restart(turn.batch)
        if instance.row.received is not None:
            changes.receive(instance.row)
        kept = [waiting.event for waiting in rest if _outlives(waiting)]
        for event in (*(step.restart or ()), *_pause_in(turn.batch), *kept):
            self._hub.enter(instance, event, changes)

    def _create(
        self, parent: Instance, creation: Outgoing, changes: Changes, effects: _Effects
    ) -> None:
        """Make a child workflow or a detached one; where its id is taken, the parent hears it."""
        hub = self._hub
        found = hub.find(creation.app_id, creation.instance_id)
        link = creation.event.executionStarted.parentInstance
        if found is not None:
            if link.taskScheduledId and _is_same(found, link):
                return
            try:
                taken_by(found, hub.find)
            except Occupied as occupied:
                logger.warning(
                    "workflow '%s' cannot start '%s': %s",
                    parent.row.instance_id,
                    creation.instance_id,
                    occupied,
                )
                if link.taskScheduledId:
                    task, now = link.taskScheduledId, hub.clock.now()
                    hub.enter(
                        parent, events.child_failed(task, EXISTS, str(occupied), now), changes
                    )
                return
            hub.forget(found)
            changes.drop(found.row)
        received = None if creation.created is None else parent.passed_on(creation.created)
        effects.begun.append(hub.admit(creation.app_id, creation.event, changes, received))

    def _send(self, message: Outgoing, changes: Changes, effects: _Effects) -> None:
        """Let an event arrive at another instance, if that still waits for it."""
        target = self._hub.find(message.app_id, message.instance_id)
        if target is None:
            return
        if target.gone:  # what it waits for is known when it is read again
            self._hub.enter(target, message.event, changes)
            effects.arrived.append(target)
            return
        if target.execution.completed is not None:
            return
        if message.execution_id and message.execution_id != target.execution_id:
            return
        event = message.event
        task = _child_task(event)
        if task is not None and not target.awaits_child(task):
            return
        self._hub.enter(target, event, changes)
        effects.arrived.append(target)

    def _kept(
        self,
        instance: Instance,
        turn: "TurnItem",
        step: Step,
        effects: _Effects,
        future: asyncio.Future[None],
    ) -> None:
        """Let a step take effect."""
        hub = self._hub
        host = hub.host(instance.row.app_id)
        failed = future.cancelled() or future.exception() is not None
        if failed:
            for other in (*effects.begun, *effects.arrived):
                if not other.gone:  # what it has in memory was not written
                    hub.give_up(other, 0.0)
        else:
            for other in (*effects.begun, *effects.arrived):
                if other.gone:
                    hub.read_again(other)
                else:
                    hub.pump(other)
        if not failed and not instance.gone:
            instance.turn = None
            instance.parked = step.stalled and host.untried(instance) is None
            for scheduled in step.tasks:
                hub.begin_task(instance, scheduled)
            if instance.execution.completed is not None:
                host.forget(instance.row.instance_id)
                hub.alarms.set(instance.key, instance.kept_until)
            hub.tell(instance)
            hub.pump(instance)
        elif not failed or hub.live.get(instance.key) is instance:
            hub.read_again(instance)
        host.finish(turn)


def _tell_long(instance: Instance, limit: int) -> None:
    """Say once of an instance that it would stall elsewhere."""
    if not instance.told_long:
        instance.told_long = True
        logger.warning(
            "workflow '%s' has a history of %d bytes: a real runtime stalls it, whose messages "
            "have at most %d bytes (--max-body-size); ctx.restart keeps histories short",
            instance.row.instance_id,
            instance.size_since(0),
            limit,
        )


def _noted(future: asyncio.Future[None]) -> None:
    """Take the result of a write that nobody waits for; the hub says what failed."""
    if not future.cancelled():
        future.exception()


def _outlives(waiting: Waiting) -> bool:
    return waiting.event.WhichOneof("eventType") in _KEPT


def _pause_in(batch: Sequence[wf.HistoryEvent]) -> Sequence[wf.HistoryEvent]:
    """Return the pause that came too late for an execution, and holds the next one."""
    held: Sequence[wf.HistoryEvent] = ()
    for event in batch:
        if event.HasField("executionSuspended"):
            held = (event,)
        elif event.HasField("executionResumed"):
            held = ()
    return held


def _is_same(found: Instance, link: wf.ParentInstanceInfo) -> bool:
    """Tell whether an active instance was made by this very action."""
    start = found.start
    if start is None or found.execution.completed is not None:
        return False
    known = start.parentInstance
    return (
        known.workflowInstance == link.workflowInstance
        and known.taskScheduledId == link.taskScheduledId
    )


def _child_task(event: wf.HistoryEvent) -> int | None:
    """Return which child's result an event is, None where it is none."""
    if event.HasField("childWorkflowInstanceCompleted"):
        return event.childWorkflowInstanceCompleted.taskScheduledId
    if event.HasField("childWorkflowInstanceFailed"):
        return event.childWorkflowInstanceFailed.taskScheduledId
    return None
