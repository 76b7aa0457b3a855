"""A workflow instance in memory: what became of it, what waits for it, and what runs of it."""

import asyncio
from bisect import bisect_left
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from daprflow.protocol import workflow_messages as wf
from daprflow.sidecar.workflows import events, propagation
from daprflow.sidecar.workflows.alarms import Key
from daprflow.sidecar.workflows.execution import NEVER, Execution
from daprflow.sidecar.workflows.framing import frame, unframe
from daprflow.sidecar.workflows.items import TaskItem, TurnItem
from daprflow.sidecar.workflows.store import Arrival, Row

if TYPE_CHECKING:
    from daprflow.sidecar.workflows.host import WorkStream


@dataclass(frozen=True, slots=True)
class Waiting:
    """An event for the next turn; one without a key is not kept, but made anew when it is due."""

    event: wf.HistoryEvent
    key: int | None


class Instance:
    """One instance.

    Attributes:
        row: how it is kept.
        execution: what its history comes to.
        inbox: the events that no finished turn took.
        turn: the turn that is due or under way, until it is kept.
        tasks: activities without a result, by the ids of what scheduled them.
        suspended: whether it will be when its inbox is taken.
        parked: it cannot go on until other workers come.
        refused: the streams whose workers could not go on with it.
        saving: the last write about it that is not finished.
        step: the write of its last step, finished or not.
        roused: whether it is kept as one that has something to do at once.
        described: generation, custom status and wake as a step wrote them last; None for unknown.
        kept_until: when it is to be forgotten, once it is over; None for never.
        told_long: whether users were told that its history is longer than a message.
        gone: it was purged, or could not be written; nothing more is to happen with it.
    """

    def __init__(self, row: Row) -> None:
        self.row = row
        self.execution = Execution()
        self.inbox: deque[Waiting] = deque()
        self.turn: TurnItem | None = None
        self.tasks: dict[int, TaskItem] = {}
        self.suspended = False
        self.parked = False
        self.refused: set[WorkStream] = set()
        self.saving: asyncio.Future[None] | None = None
        self.step: asyncio.Future[None] | None = None
        self.roused = True
        self.described: tuple[int, str | None, float | None] | None = None
        self.kept_until: float | None = None
        self.told_long = False
        self.gone = False
        self._steps: list[bytes] = []
        self._counts: list[int] = []
        self._next_step = 0
        self._size = 0
        self._resolved: set[tuple[str, int]] = set()

    @property
    def key(self) -> Key:
        """The app and the id."""
        return self.row.app_id, self.row.instance_id

    @property
    def is_stepping(self) -> bool:
        """Whether a step of it is on its way to the store."""
        return self.step is not None and not self.step.done()

    @property
    def is_idle(self) -> bool:
        """Whether nothing of it is under way, so that memory may forget it."""
        waits = bool(self.inbox) and self.execution.completed is None
        return not (self.turn or self.tasks or waits or self.saving or self.parked)

    @property
    def status(self) -> "wf.OrchestrationStatus.ValueType":
        """The status as clients see it."""
        status = self.execution.status
        if status == wf.ORCHESTRATION_STATUS_PENDING and self.row.generation:
            return wf.ORCHESTRATION_STATUS_RUNNING
        return status

    @property
    def start(self) -> wf.ExecutionStartedEvent | None:
        """How it began, or is to begin."""
        if self.execution.started is not None:
            return self.execution.started
        for waiting in self.inbox:
            if waiting.event.HasField("executionStarted"):
                return waiting.event.executionStarted
        return None

    @property
    def execution_id(self) -> str:
        """The id of this execution, another one after it continued as new."""
        start = self.start
        return "" if start is None else start.workflowInstance.executionId.value

    async def settled(self) -> None:
        """Wait until what is known of it is kept."""
        while (saving := self.saving) is not None:
            await asyncio.wait({saving})
            await asyncio.sleep(0)

    # ---- history --------------------------------------------------------------------------------

    @property
    def past(self) -> int:
        """How many events its history has."""
        return self._counts[-1] if self._counts else 0

    def past_since(self, known: int) -> bytes:
        """Return the framed events after the first ``known``, which ends a step."""
        first = bisect_left(self._counts, known) + 1 if known else 0
        return b"".join(self._steps[first:])

    def size_since(self, known: int) -> int:
        """Return how many bytes `past_since` has."""
        first = bisect_left(self._counts, known) + 1 if known else 0
        return self._size if not first else sum(map(len, self._steps[first:]))

    def history(self) -> Iterator[wf.HistoryEvent]:
        """Return all events."""
        for step in self._steps:
            yield from unframe(step)

    def passed_on(self, event: wf.HistoryEvent) -> bytes | None:
        """Return the history that goes with an activity or a child workflow; None for none."""
        scope = propagation.scope_of(event)
        if scope == propagation.NONE:
            return None
        row, known = self.row, propagation.until(self.history(), event.eventId)
        made = propagation.propagated(row.app_id, row.instance_id, known, scope, row.received)
        return made.SerializeToString()

    def restore(self, steps: Sequence[tuple[int, bytes]], inbox: Sequence[Arrival]) -> None:
        """Take in what was kept."""
        for number, data in steps:
            self._grow(data, unframe(data))
            self._next_step = number + 1
        self.suspended = self.execution.suspended
        for arrival in inbox:
            self.arrive(wf.HistoryEvent.FromString(arrival.event), arrival.key)

    def grow(self, happened: Sequence[wf.HistoryEvent]) -> tuple[int, bytes]:
        """Add the events of a step and return how they are kept."""
        data = frame(happened)
        self._grow(data, happened)
        self._next_step += 1
        return self._next_step - 1, data

    def _grow(self, data: bytes, happened: Sequence[wf.HistoryEvent]) -> None:
        self._counts.append(self.past + len(happened))
        self._steps.append(data)
        self._size += len(data)
        for event in happened:
            self.execution.apply(event)

    def restart(self, last: Sequence[wf.HistoryEvent]) -> None:
        """Forget the history; the next execution begins, and gets what this one got.

        Args:
            last: the events of the turn that ended this one.
        """
        row = self.row
        received = row.received
        if received is not None:
            scope = wf.PropagatedHistory.FromString(received).scope
            known = (*self.history(), *last)
            made = propagation.propagated(row.app_id, row.instance_id, known, scope, received)
            received = made.SerializeToString()
        self.row = replace(row, generation=row.generation + 1, received=received)
        self.execution = Execution()
        self._steps.clear()
        self._counts.clear()
        self._size = 0
        self._resolved.clear()
        self.tasks.clear()
        self.suspended = False

    # ---- inbox ----------------------------------------------------------------------------------

    def arrive(self, event: wf.HistoryEvent, key: int | None) -> None:
        """Add an event for the next turn."""
        self.inbox.append(Waiting(event, key))
        if (resolved := _resolution(event)) is not None:
            self._resolved.add(resolved)
        elif event.HasField("executionSuspended"):
            self.suspended = True
        elif event.HasField("executionResumed"):
            self.suspended = False

    def take(self, count: int) -> list[Waiting]:
        """Remove the first events, which a finished turn took."""
        taken = [self.inbox.popleft() for _ in range(count)]
        for waiting in taken:
            if (resolved := _resolution(waiting.event)) is not None:
                self._resolved.discard(resolved)
        return taken

    def awaits_child(self, task_id: int) -> bool:
        """Tell whether a child workflow's result is still awaited."""
        return task_id in self.execution.children and ("child", task_id) not in self._resolved

    def open_tasks(self) -> list[wf.HistoryEvent]:
        """Return what scheduled the activities that have no result yet."""
        tasks = self.execution.tasks
        return [tasks[task] for task in tasks if ("task", task) not in self._resolved]

    def fire(self, now: float) -> bool:
        """Let the timers that are due arrive; whether there were any."""
        due = [
            (task, moment)
            for task, moment in self.execution.timers.items()
            if events.seconds(moment) <= now and ("timer", task) not in self._resolved
        ]
        for task, moment in sorted(due, key=lambda item: (events.seconds(item[1]), item[0])):
            self.arrive(events.timer_fired(task, moment, now), None)
        return bool(due)

    def next_timer(self) -> float | None:
        """Return when the next timer is due that has not arrived."""
        due = min(
            (
                events.seconds(moment)
                for task, moment in self.execution.timers.items()
                if ("timer", task) not in self._resolved
            ),
            default=NEVER,
        )
        return None if due >= NEVER else due

    def begins_at(self) -> float:
        """Return when its first turn may be; zero where it had one, or is asked to end."""
        start = self.start
        if self.execution.started is not None or start is None:
            return 0.0
        if any(waiting.event.HasField("executionTerminated") for waiting in self.inbox):
            return 0.0
        if not start.HasField("scheduledStartTimestamp"):
            return 0.0
        return events.seconds(start.scheduledStartTimestamp)

    def wake(self) -> float | None:
        """Return when it has something to do: zero for at once, None where it waits for others."""
        if self.tasks:
            return 0.0
        if self.execution.completed is not None:
            return self.kept_until
        if self.inbox:
            return self.begins_at()
        return self.next_timer()


def _resolution(event: wf.HistoryEvent) -> tuple[str, int] | None:
    """Return what an event resolves."""
    match event.WhichOneof("eventType"):
        case "taskCompleted":
            return "task", event.taskCompleted.taskScheduledId
        case "taskFailed":
            return "task", event.taskFailed.taskScheduledId
        case "childWorkflowInstanceCompleted":
            return "child", event.childWorkflowInstanceCompleted.taskScheduledId
        case "childWorkflowInstanceFailed":
            return "child", event.childWorkflowInstanceFailed.taskScheduledId
        case "timerFired":
            return "timer", event.timerFired.timerId
    return None
