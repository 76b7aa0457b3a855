"""What the history of one execution comes to: a fold, event by event."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from daprflow.protocol import workflow_messages as wf

NEVER = 32_503_680_000.0
"""Due times from the year 3000 on stand for ever: waits without an end are made so."""


@dataclass(frozen=True, slots=True)
class Child:
    """A child workflow that an execution started, and the app that was to run it."""

    instance_id: str
    app_id: str


class Execution:
    """The state of one execution.

    Attributes:
        started: how it began; None before the first turn is done.
        completed: how it ended.
        created: when it was asked for; ``first`` and ``last`` are the times of those events.
        suspended: whether it waits to be resumed.
        stalled: why it cannot go on for now.
        tasks: activities without a result, by the id of what scheduled them.
        timers: those that did not fire and are still waited for.
        children: child workflows without a result.
        descended: every child workflow there was.
        terminated: the first event that asked it to end.
        patches: names of the code changes it has seen, in order.
        version: the name of the version that runs it.
    """

    def __init__(self) -> None:
        self.started: wf.ExecutionStartedEvent | None = None
        self.completed: wf.ExecutionCompletedEvent | None = None
        self.created: wf.Timestamp | None = None
        self.first: wf.Timestamp | None = None
        self.last: wf.Timestamp | None = None
        self.suspended = False
        self.stalled: wf.ExecutionStalledEvent | None = None
        self.tasks: dict[int, wf.HistoryEvent] = {}
        self.timers: dict[int, wf.Timestamp] = {}
        self.children: dict[int, Child] = {}
        self.descended: dict[str, Child] = {}
        self.terminated: wf.ExecutionTerminatedEvent | None = None
        self.patches: list[str] = []
        self.version = ""
        self._event_timers: dict[str, list[int]] = {}

    @property
    def status(self) -> "wf.OrchestrationStatus.ValueType":
        """Return the status as clients see it."""
        if self.completed is not None:
            return self.completed.workflowStatus
        if self.stalled is not None:
            return wf.ORCHESTRATION_STATUS_STALLED
        if self.started is None:
            return wf.ORCHESTRATION_STATUS_PENDING
        if self.suspended:
            return wf.ORCHESTRATION_STATUS_SUSPENDED
        return wf.ORCHESTRATION_STATUS_RUNNING

    def apply(self, event: wf.HistoryEvent) -> None:
        """Take in what happened next."""
        kind = event.WhichOneof("eventType")
        if self.first is None:
            self.first = event.timestamp
        self.last = event.timestamp
        if kind != "executionStalled":
            self.stalled = None
        take = self._takes.get(kind or "")
        if take is not None:
            take(self, event)

    # ---- one method for each kind of event that changes something -------------------------------

    def _take_start(self, event: wf.HistoryEvent) -> None:
        if self.started is None:
            self.started = event.executionStarted
            self.created = event.timestamp

    def _take_end(self, event: wf.HistoryEvent) -> None:
        if self.completed is None:
            self.completed = event.executionCompleted
            self.timers.clear()
            self.children.clear()

    def _take_turn(self, event: wf.HistoryEvent) -> None:
        version = event.workflowStarted.version
        self.patches.extend(version.patches)
        self.version = version.name or self.version

    def _take_terminated(self, event: wf.HistoryEvent) -> None:
        if self.terminated is None:
            self.terminated = event.executionTerminated

    def _take_suspended(self, _event: wf.HistoryEvent) -> None:
        self.suspended = True

    def _take_resumed(self, _event: wf.HistoryEvent) -> None:
        self.suspended = False

    def _take_stalled(self, event: wf.HistoryEvent) -> None:
        self.stalled = event.executionStalled

    def _take_task(self, event: wf.HistoryEvent) -> None:
        self.tasks[event.eventId] = event

    def _take_task_done(self, event: wf.HistoryEvent) -> None:
        self.tasks.pop(event.taskCompleted.taskScheduledId, None)

    def _take_task_failed(self, event: wf.HistoryEvent) -> None:
        self.tasks.pop(event.taskFailed.taskScheduledId, None)

    def _take_child(self, event: wf.HistoryEvent) -> None:
        made = event.childWorkflowInstanceCreated
        child = Child(made.instanceId, event.router.targetAppID)
        self.children[event.eventId] = child
        self.descended[made.instanceId] = child

    def _take_child_done(self, event: wf.HistoryEvent) -> None:
        self.children.pop(event.childWorkflowInstanceCompleted.taskScheduledId, None)

    def _take_child_failed(self, event: wf.HistoryEvent) -> None:
        self.children.pop(event.childWorkflowInstanceFailed.taskScheduledId, None)

    def _take_timer(self, event: wf.HistoryEvent) -> None:
        made = event.timerCreated
        self.timers[event.eventId] = made.fireAt
        name = _awaited(made)
        if name is not None:
            self._event_timers.setdefault(name, []).append(event.eventId)

    def _take_timer_fired(self, event: wf.HistoryEvent) -> None:
        timer = event.timerFired.timerId
        self.timers.pop(timer, None)
        for waiting in self._event_timers.values():
            if timer in waiting:
                waiting.remove(timer)

    def _take_raised(self, event: wf.HistoryEvent) -> None:
        """Give up the oldest timer that guards a wait for such an event."""
        waiting = self._event_timers.get(event.eventRaised.name.upper())
        if waiting:
            self.timers.pop(waiting.pop(0), None)

    _takes: ClassVar[Mapping[str, Callable[["Execution", wf.HistoryEvent], None]]] = {
        "executionStarted": _take_start,
        "executionCompleted": _take_end,
        "executionTerminated": _take_terminated,
        "executionSuspended": _take_suspended,
        "executionResumed": _take_resumed,
        "executionStalled": _take_stalled,
        "workflowStarted": _take_turn,
        "taskScheduled": _take_task,
        "taskCompleted": _take_task_done,
        "taskFailed": _take_task_failed,
        "childWorkflowInstanceCreated": _take_child,
        "childWorkflowInstanceCompleted": _take_child_done,
        "childWorkflowInstanceFailed": _take_child_failed,
        "timerCreated": _take_timer,
        "timerFired": _take_timer_fired,
        "eventRaised": _take_raised,
    }


def _awaited(timer: wf.TimerCreatedEvent) -> str | None:
    """Return the event whose wait a timer ends; older SDKs say it by the timer's name alone."""
    origin = timer.WhichOneof("origin")
    if origin == "externalEvent":
        return timer.externalEvent.name.upper()
    if origin is None and timer.HasField("name"):
        return timer.name.upper()
    return None
