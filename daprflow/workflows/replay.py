"""Replay: a workflow's history goes in, what its code asks for comes out. Nothing else happens."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import msgspec

from daprflow.errors import NonDeterminismError
from daprflow.protocol import history
from daprflow.protocol.history import Event, Failure, TimerOrigin
from daprflow.protocol.workflow_actions import (
    CreateChild,
    CreateTimer,
    ScheduleTask,
    Turn,
    VersionMissing,
    WorkflowState,
)
from daprflow.workflows.context import WorkflowContext
from daprflow.workflows.execution import Execution, Pending, described
from daprflow.workflows.failures import failure_of
from daprflow.workflows.guard import NO_GUARD, Guard
from daprflow.workflows.places import line_of, waiting_at
from daprflow.workflows.plan import WorkflowPlan, Workflows
from daprflow.workflows.runner import Restarted
from daprflow.workflows.tasks import Fiber
from daprflow.workflows.trap import TrapLoop, trapped

UNREGISTERED = "WorkflowNotRegistered"


@dataclass(frozen=True, slots=True)
class Rules:
    """How strictly a workflow's code is watched.

    Attributes:
        guard: looks for clocks, networks and the like while code runs.
        inputs: whether the inputs of replayed calls are compared with those in the history.
    """

    guard: Guard = NO_GUARD
    inputs: bool = False


_LOOSE = Rules()

Mark = tuple[str | None, int, int]
"""An event by its kind, its time and its content."""


class Replay:
    """One instance of a workflow, kept between its turns.

    Feed it the history that is committed, then what is new; it is pure: the same events give the
    same actions, in every process.

    Attributes:
        seen: how many events it has gone through.
        newest: the events of the newest turn, which tell its history from another one.
        problem: why it cannot go on; None while it can.
    """

    def __init__(
        self, workflows: Workflows, instance: str, rules: Rules = _LOOSE, *, rerun: bool = False
    ) -> None:
        self.execution: Execution = Execution(workflows, instance)
        self.seen: int = 0
        self.newest: tuple[Mark, ...] = ()
        self.problem: NonDeterminismError | None = None
        self._rules = rules
        self._main: Fiber | None = None
        self._plan: WorkflowPlan | None = None
        self._suspended = False
        self._held: list[Event] = []
        self._stalled = False
        self._rerun = rerun
        self._lingers = False
        self._carries = False
        self._trap = TrapLoop(self.execution.runner.violated)  # type: ignore[abstract]  # it has every method

    def turn(self, past: Iterable[Event], new: Iterable[Event]) -> Turn:
        """Go through events that are history, then through new ones; return what is asked for."""
        execution = self.execution
        with trapped(self._trap), self._rules.guard.watching(execution.runner):
            execution.replaying = True
            self._feed(past)
            execution.replaying = False
            self._feed(new)
        return self._answer()

    def check_end(self) -> None:
        """Refuse what the code asks for beyond a history that is whole up to a turn's end.

        Raises:
            NonDeterminismError: there is something; the text names it and its line.
        """
        if self.execution.ended is None and not self._suspended:
            self._check_leftovers()

    @property
    def is_over(self) -> bool:
        """Whether no further turn of this execution comes."""
        return self.execution.ended is not None or self._stalled or self.problem is not None

    @property
    def waits_for(self) -> tuple[str, ...]:
        """What the code waits for, and where, for messages."""
        return tuple(waiting_at(each) for each in self.execution.runner.waiting())

    def close(self) -> None:
        """Take the code down; nothing it does then has an effect."""
        execution = self.execution
        execution.replaying = True
        with trapped(self._trap):
            execution.runner.close()

    def _feed(self, events: Iterable[Event]) -> None:
        appliers = self._APPLIERS
        try:
            for event in events:
                self.seen += 1
                if self.problem is not None:
                    continue
                if self.execution.ended is not None:
                    self._check_ended(event)
                    continue
                apply = appliers.get(type(event))
                if apply is None:
                    continue
                if self._suspended and type(event) not in _EVEN_SUSPENDED:
                    self._held.append(event)
                    continue
                apply(self, event)
        except NonDeterminismError as error:
            self.problem = error

    def _answer(self) -> Turn:
        execution = self.execution
        if self.problem is not None or self._stalled:
            return Turn((VersionMissing(execution.next_number()),), execution.app)
        actions = execution.unconfirmed()
        if execution.ended is not None:
            actions = (*actions, execution.ended)
        on = tuple(name for name, is_on in execution.patches.items() if is_on)
        return Turn(actions, execution.app, execution.custom_status, execution.version, on)

    def _run(self) -> None:
        """Let the code go on as far as it can."""
        runner = self.execution.runner
        if not runner.ready:
            return
        runner.drain()
        main = self._main
        if main is None or self.execution.ended is not None:
            return
        if runner.violation is not None and not runner.undoing:
            self.execution.end(WorkflowState.FAILED, failure=failure_of(runner.violation))
        elif isinstance(runner.restart, Restarted):
            restart = runner.restart
            if not self._lingers:
                self._lingers = self.execution.linger(lambda: self._restart(restart))
            if not self._lingers:
                self._restart(restart)
        elif main.done:
            self._finish(main)

    def _finish(self, main: Fiber) -> None:
        execution = self.execution
        error = main.error
        if error is None:
            what = f"the result of {self._plan.title if self._plan else 'the workflow'}"
            try:
                text = execution.encode(main.result(), what, None)
            except TypeError as unkept:
                error = unkept
            else:
                execution.end(WorkflowState.COMPLETED, text, begun=True)
                return
        execution.end(WorkflowState.FAILED, failure=failure_of(error), begun=True)

    def _restart(self, restart: Restarted) -> None:
        execution = self.execution
        execution.end(WorkflowState.CONTINUED_AS_NEW, restart.input)
        if execution.ended is not None and restart.keep_events:
            self._carries = True
            execution.ended.carried = execution.unread()

    def _workflow_started(self, event: history.WorkflowStarted) -> None:
        execution = self.execution
        if execution.pending and self.seen > 1:
            self._check_leftovers()
        execution.now = max(execution.now, event.at)  # clocks of sidecars differ a little
        if event.version:
            execution.version = event.version
        if event.patches:
            execution.known_patches.update(event.patches)

    def _execution_started(self, event: history.ExecutionStarted) -> None:
        execution = self.execution
        if self._main is not None:
            return
        execution.app = event.app
        execution.id = event.execution
        execution.name, execution.trace = event.name, event.trace
        if event.instance not in ("", execution.instance):
            self._rerun = True  # its history has steps behind the turns that asked for them
        versions = execution.workflows.plans.get(event.name)
        plan = None
        if versions is not None:
            version = execution.version or event.version
            plan = versions.find(version, begun=execution.replaying)
        if plan is None:
            self._not_found(event)
            return
        self._plan = plan
        execution.version = plan.version
        context = WorkflowContext(execution, plan)
        execution.context = context
        try:
            given = (plan.decode(event.input),) if plan.takes_input else ()
        except ValueError as error:
            execution.end(WorkflowState.FAILED, failure=failure_of(error))
            return
        self._main = execution.runner.start(plan.function(context, *given), plan.title)
        self._run()

    def _not_found(self, event: history.ExecutionStarted) -> None:
        workflows = self.execution.workflows
        if event.name in workflows.plans:  # this worker lacks the version; another one may have it
            self._stalled = True
            return
        known = ", ".join(f"'{each}'" for each in workflows.plans) or "none"
        text = f"no workflow is named '{event.name}' in app '{event.app}'; it has {known}"
        self.execution.end(WorkflowState.FAILED, failure=Failure(UNREGISTERED, text, final=True))

    def _task_scheduled(self, event: history.TaskScheduled) -> None:
        pending = self._confirm(event.id, ScheduleTask)
        self._rerun = self._rerun or event.rerun
        if pending is None or pending.action.name != event.name:
            raise self._mismatch(event.id, _was(event), pending)
        if self._rules.inputs and not event.rerun:
            self._check_input(event, pending)

    def _child_created(self, event: history.ChildCreated) -> None:
        pending = self._confirm(event.id, CreateChild)
        self._rerun = self._rerun or event.rerun
        if pending is None or pending.action.name != event.name:
            raise self._mismatch(event.id, _was(event), pending)
        if self._rules.inputs and not event.rerun:
            self._check_input(event, pending)

    def _timer_created(self, event: history.TimerCreated) -> None:
        pending = self.execution.pending.get(event.id)
        self._rerun = self._rerun or event.rerun
        endless = event.fire_at is None
        if endless and not _is_endless(pending):
            return  # an older version of the code waited for an event here, without a limit
        if not endless and _is_endless(pending):
            self._drop_endless(event.id)
        confirmed = self._confirm(event.id, CreateTimer)
        if confirmed is None:
            raise self._mismatch(event.id, _was(event), self.execution.pending.get(event.id))
        if self._rules.inputs and not event.rerun and _waits_anew(event.origin, confirmed):
            raise self._mismatch(event.id, _was(event), confirmed)

    def _confirm(self, number: int, kind: type) -> Any:
        """Take the action that history confirms; None where there is none of that kind."""
        pending = self.execution.pending
        found = pending.get(number)
        if found is not None and type(found.action) is not kind and _is_endless(found):
            self._drop_endless(number)
            found = pending.get(number)
        if found is None or type(found.action) is not kind:
            return None
        return pending.pop(number)

    def _drop_endless(self, number: int) -> None:
        """Forget a timer that a history from before there were such timers does not have."""
        execution = self.execution
        del execution.pending[number]
        execution.timers.pop(number, None)
        execution.move_down(number)

    def _check_ended(self, event: Event) -> None:
        """Refuse a history that goes on where the code has ended.

        An event that comes with what ended an execution is for the next one, where there is one.
        """
        ended = self.execution.ended
        if isinstance(event, history.EventRaised) and ended is not None and self._carries:
            ended.carried = (*ended.carried, event)
        if not self.execution.replaying:
            return
        if isinstance(event, history.TaskScheduled | history.ChildCreated):
            self._APPLIERS[type(event)](self, event)  # what began in the last turn
        elif isinstance(event, history.TimerCreated):
            raise self._mismatch(event.id, _was(event), None)

    def _check_leftovers(self) -> None:
        """Refuse actions that the history does not have, though it has the turn they belong to."""
        if self._rerun:
            return
        for number, pending in self.execution.pending.items():
            if not _is_endless(pending):
                raise self._mismatch(number, "", pending)

    def _check_input(self, event: Any, pending: Any) -> None:
        action = pending.action
        if not _same_json(event.input, action.input):
            name = self._plan.title if self._plan else ""
            raise NonDeterminismError(
                f"{name}, instance '{self.execution.instance}': history step {event.id} gave "
                f"{described(action)} another input than this code gives it now"
                f"{self._place(pending)}; an input must depend on nothing but the workflow's own "
                "input, results and events: no clock, no random, no set's order"
            )

    def _mismatch(self, step: int, was: str, pending: Pending | None) -> NonDeterminismError:
        there = self.execution.pending.get(step) if pending is None else pending
        wanted = f"history step {step} is {was}" if was else f"history has no step {step}"
        if there is not None:
            does = f"this code asks for {described(there.action)} there{self._place(there)}"
        elif self.execution.ended is not None:
            does = "this code has ended before"
        else:
            waits = ", ".join(self.waits_for)
            does = "this code asks for nothing there" + (f"; it waits for {waits}" if waits else "")
        name = self._plan.title if self._plan else ""
        return NonDeterminismError(
            f"{name}, instance '{self.execution.instance}': {wanted}; {does}. Guard the change "
            'with ctx.patched("..."), or start a new version'
        )

    def _place(self, pending: Pending) -> str:
        place = line_of(pending.place)
        return f" ({place})" if place else ""

    def _task_completed(self, event: history.TaskCompleted | history.ChildCompleted) -> None:
        self.execution.completed(event.scheduled, event.result)
        self._run()

    def _task_failed(self, event: history.TaskFailed | history.ChildFailed) -> None:
        self.execution.failed(event.scheduled, event.failure)
        self._run()

    def _timer_fired(self, event: history.TimerFired) -> None:
        fired = self.execution.timers.pop(event.timer, None)
        if fired is not None:
            # A real runtime's timer may ring some microseconds before its time.
            self.execution.now = max(self.execution.now, event.fire_at or 0)
            fired()
            self._run()

    def _event_raised(self, event: history.EventRaised) -> None:
        self.execution.raised(event)
        self._run()

    def _suspend(self, _: history.ExecutionSuspended) -> None:
        self._suspended = True

    def _resume(self, _: history.ExecutionResumed) -> None:
        self._suspended = False
        held, self._held = self._held, []
        for event in held:
            if self.execution.ended is None:
                self._APPLIERS[type(event)](self, event)
            else:
                self._check_ended(event)

    def _terminate(self, event: history.ExecutionTerminated) -> None:
        self.execution.end(WorkflowState.TERMINATED, event.output)

    _APPLIERS: ClassVar[Mapping[type, Callable[["Replay", Any], None]]] = {
        history.WorkflowStarted: _workflow_started,
        history.ExecutionStarted: _execution_started,
        history.TaskScheduled: _task_scheduled,
        history.TaskCompleted: _task_completed,
        history.TaskFailed: _task_failed,
        history.ChildCreated: _child_created,
        history.ChildCompleted: _task_completed,
        history.ChildFailed: _task_failed,
        history.TimerCreated: _timer_created,
        history.TimerFired: _timer_fired,
        history.EventRaised: _event_raised,
        history.ExecutionSuspended: _suspend,
        history.ExecutionResumed: _resume,
        history.ExecutionTerminated: _terminate,
    }


def _was(event: history.TaskScheduled | history.ChildCreated | history.TimerCreated) -> str:
    """Return what a step of the history is."""
    if isinstance(event, history.TaskScheduled):
        return f"activity '{event.name}'"
    if isinstance(event, history.ChildCreated):
        return f"workflow '{event.name}'"
    is_wait = event.origin.kind == "event"
    return f"a wait for event '{event.origin.of}'" if is_wait else "a timer"


def _waits_anew(was: TimerOrigin, pending: Pending) -> bool:
    """Tell whether a timer ends the wait for another event than it did; nobody may have said."""
    does = pending.action.origin if isinstance(pending.action, CreateTimer) else was
    if not was.kind or "event" not in (was.kind, does.kind):
        return False
    return (was.kind, was.of.casefold()) != (does.kind, does.of.casefold())


def _same_json(first: str | None, second: str | None) -> bool:
    if (first or None) == (second or None):
        return True
    return bool(first and second and msgspec.json.decode(first) == msgspec.json.decode(second))


def _is_endless(pending: Pending | None) -> bool:
    action = None if pending is None else pending.action
    return isinstance(action, CreateTimer) and action.fire_at is None


_EVEN_SUSPENDED = frozenset(
    {
        history.WorkflowStarted,
        history.ExecutionStarted,
        history.ExecutionResumed,
        history.ExecutionSuspended,
        history.ExecutionTerminated,
        history.TaskScheduled,
        history.ChildCreated,
        history.TimerCreated,
    }
)
