"""One execution of a workflow as its history has it: what it asked for, and what came of it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from daprflow.addresses import Activity, Workflow
from daprflow.protocol.history import EventRaised, Failure, TimerOrigin, Trace
from daprflow.protocol.workflow_actions import (
    Action,
    CompleteWorkflow,
    CreateChild,
    CreateTimer,
    ScheduleTask,
    WorkflowState,
)
from daprflow.workflows.failures import activity_failed, workflow_failed
from daprflow.workflows.identity import execution_id
from daprflow.workflows.places import Place, line_of
from daprflow.workflows.plan import Workflows
from daprflow.workflows.retry import RetryPolicy
from daprflow.workflows.runner import Runner
from daprflow.workflows.tasks import Task
from daprflow.workflows.values import Callee, Decode, Values

_NANOS = 1_000_000_000
_MICRO = 1_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = 253402300799 * _NANOS


@dataclass(slots=True)
class Pending:
    """An action that history has not confirmed yet.

    Attributes:
        place: where code asked for it; None where a retry did.
        first: the number of a call's first attempt, which makes the id of all of them.
    """

    action: Action
    place: Place | None
    first: int = 0


class Called(Task[Any]):
    """A call of an activity, or a child workflow, with every attempt there is."""

    __slots__ = ("action", "attempt", "first", "retry")

    def __init__(
        self,
        runner: Runner,
        decode: Decode,
        action: ScheduleTask | CreateChild,
        retry: RetryPolicy | None,
    ) -> None:
        super().__init__(runner, "", decode)
        if retry is not None and not isinstance(retry, RetryPolicy):
            raise TypeError(f"retry is of type '{type(retry).__name__}'; write RetryPolicy(...)")
        self.action: ScheduleTask | CreateChild = action
        self.retry: RetryPolicy | None = retry
        self.first: int = action.id
        self.attempt: int = 1

    def described(self) -> str:
        """Return what it is, for messages."""
        return described(self.action)

    def failed(self, failure: Failure | None) -> None:
        """Give up with a failure."""
        action = self.action
        if isinstance(action, ScheduleTask):
            self.fail(activity_failed(action.name, failure or Failure("")))
        else:
            self.fail(workflow_failed(action.name, action.instance, failure))


class Awaited(Task[Any]):
    """A wait for an event; one that lost a race stands back until somebody waits for it again."""

    __slots__ = ("_away", "_execution", "_key")

    def __init__(self, execution: "Execution", name: str, decode: Decode) -> None:
        super().__init__(execution.runner, f"event '{name}'", decode)
        self._execution = execution
        self._key = name.casefold()
        self._away = False

    def observe(self, observer: Callable[[], None]) -> None:
        """Call ``observer`` when the event has come."""
        super().observe(observer)
        if self._away and not self.done:
            self._away = False
            self._execution.queue(self, self._key)

    def leave(self, observer: Callable[[], None]) -> None:
        """Call ``observer`` no more; without any, events are for others."""
        super().leave(observer)
        if not self.done and not self.is_awaited and not self._away:
            self._away = True
            self._execution.unqueue(self, self._key)


class Execution:
    """What a workflow's code has asked for, by the number of each action.

    Attributes:
        now: nanoseconds; when the turn began that is being gone through.
        replaying: whether history tells what is done now.
    """

    def __init__(self, workflows: Workflows, instance: str) -> None:
        self.instance = instance
        self.workflows = workflows
        self.values: Values = workflows.values
        self.runner: Runner = Runner()
        self.app = ""
        self.id = ""
        self.name = ""
        self.trace: Trace | None = None
        self.now = 0
        self.replaying = True
        self.version = ""
        self.custom_status: str | None = None
        self.pending: dict[int, Pending] = {}
        self.tasks: dict[int, Called] = {}
        self.timers: dict[int, Callable[[], None]] = {}
        self.known_patches: set[str] = set()
        self.patches: dict[str, bool] = {}
        self.context: Any = None
        self.ended: CompleteWorkflow | None = None
        self._uuids = 0
        self._buffered: dict[str, list[EventRaised]] = {}
        self._waiters: dict[str, list[Task[Any]]] = {}

    @property
    def time(self) -> datetime:
        """When the turn began, in microseconds."""
        return _EPOCH + timedelta(microseconds=self.now // _MICRO)

    def next_number(self) -> int:
        """Return the number of the next action."""
        self.runner.number += 1
        return self.runner.number

    def call(
        self, callee: Callee, value: Any, retry: RetryPolicy | None, place: Place
    ) -> Task[Any]:
        """Schedule an activity.

        Raises:
            TypeError: the value cannot be kept.
        """
        text = None if value is None else self.encode(value, callee.input, place)
        return self.schedule(callee, text, retry, place)

    def schedule(
        self, callee: Callee, text: str | None, retry: RetryPolicy | None, place: Place
    ) -> Task[Any]:
        """Schedule an activity whose input is JSON already."""
        number = self.next_number()
        action = ScheduleTask(number, callee.name, text, self._target(callee))
        task = self.tasks[number] = Called(self.runner, callee.decode, action, retry)
        self.pending[number] = Pending(action, place, number)
        return task

    def start(
        self,
        callee: Callee,
        value: Any,
        retry: RetryPolicy | None,
        place: Place,
        *,
        child: str | None,
    ) -> tuple[Task[Any], str]:
        """Start a child workflow; return its task and its instance id.

        Raises:
            TypeError: the value cannot be kept.
        """
        text = None if value is None else self.encode(value, callee.input, place)
        return self.create(callee, text, retry, place, child=child)

    def create(
        self,
        callee: Callee,
        text: str | None,
        retry: RetryPolicy | None,
        place: Place,
        *,
        child: str | None = None,
    ) -> tuple[Task[Any], str]:
        """Start a child workflow whose input is JSON already."""
        number = self.next_number()
        instance = child or f"{self.instance}:{number:04x}"
        action = CreateChild(number, callee.name, instance, text, self._target(callee))
        task = self.tasks[number] = Called(self.runner, callee.decode, action, retry)
        self.pending[number] = Pending(action, place, number)
        return task, instance

    def prepared(
        self,
        handle: Activity[Any, Any] | Workflow[Any, Any],
        value: Any,
        retry: RetryPolicy | None,
        place: Place,
    ) -> Callable[[], Task[Any]]:
        """Return what calls an activity, or starts a child, with a value as it is now.

        Raises:
            TypeError: the value cannot be kept.
        """
        callee = self.values.callee(handle)
        text = self.encode(value, callee.input, place)
        if isinstance(handle, Activity):
            return lambda: self.schedule(callee, text, retry, place)
        return lambda: self.create(callee, text, retry, place)[0]

    def encode(self, value: Any, what: str, place: Place | None) -> str | None:
        """Return a value as JSON text.

        Raises:
            TypeError: it has none; the text names its type, the line and the step.
        """
        try:
            return self.values.encode(value, what)
        except TypeError as error:
            where = f"{line_of(place)}, " if place else ""
            raise TypeError(f"{error} ({where}step {self.runner.number + 1})") from None

    def timer(
        self,
        fire_at: int | None,
        origin: TimerOrigin,
        fired: Callable[[], None],
        place: Place | None,
    ) -> None:
        """Set a timer."""
        number = self.next_number()
        self.pending[number] = Pending(CreateTimer(number, fire_at, origin), place)
        self.timers[number] = fired

    def fire_at(self, when: timedelta | datetime) -> int:
        """Return when a timer fires, in whole microseconds from the turn's beginning."""
        if not isinstance(when, timedelta | datetime):
            raise TypeError(
                f"a time to wait is of type '{type(when).__name__}'; write "
                "timedelta(seconds=...), or a datetime"
            )
        if isinstance(when, datetime):
            moment = when if when.tzinfo is not None else when.replace(tzinfo=UTC)
            return (moment - _EPOCH) // timedelta(microseconds=1) * _MICRO
        start = self.now // _MICRO
        return min((start + when // timedelta(microseconds=1)) * _MICRO, _LATEST)

    def wait(
        self,
        name: str,
        decode: Decode,
        timeout: timedelta | None,
        late: Callable[[Task[Any]], None],
        place: Place | None,
    ) -> Task[Any]:
        """Wait for an event; an event that came before is taken at once, and sets no timer."""
        task = Awaited(self, name, decode)
        key = name.casefold()
        if self._take_buffered(task, key):
            return task
        if timeout is not None and not isinstance(timeout, timedelta):
            raise TypeError(
                f"timeout is of type '{type(timeout).__name__}'; write timedelta(seconds=...)"
            )
        if timeout is not None and timeout <= timedelta(0):
            late(task)
            return task
        self.queue(task, key)

        def fired() -> None:
            if not task.done:
                self.unqueue(task, key)
                late(task)

        fire_at = None if timeout is None else self.fire_at(timeout)
        self.timer(fire_at, TimerOrigin("event", name), fired, place)
        return task

    def queue(self, task: Task[Any], key: str) -> None:
        """Let a task have an event that is kept, or one of those that come."""
        if not self._take_buffered(task, key):
            self._waiters.setdefault(key, []).append(task)

    def unqueue(self, task: Task[Any], key: str) -> None:
        """Leave the events to others."""
        waiters = self._waiters.get(key, [])
        if task in waiters:
            waiters.remove(task)

    def raised(self, event: EventRaised) -> None:
        """Give an event to who has waited longest, or keep it."""
        key = event.name.casefold()
        waiters = self._waiters.get(key)
        if waiters:
            waiters.pop(0).settle_text(event.input)
        else:
            self._buffered.setdefault(key, []).append(event)

    def failed(self, number: int, failure: Failure | None) -> None:
        """Try a failed activity or child again, or give its task the failure."""
        task = self.tasks.pop(number, None)
        if task is None:
            return
        retry, delay = task.retry, None
        if retry is not None and failure is not None:
            delay = retry.delay(failure, task.attempt, f"{self.id}:{task.first}")
        if delay is None:
            task.failed(failure)
            return
        self.timer(self.fire_at(delay), self._retry_origin(task), lambda: self._again(task), None)

    def completed(self, number: int, result: str | None) -> None:
        """Give a task its result; one that nobody waits for is none."""
        task = self.tasks.pop(number, None)
        if task is not None:
            task.settle_text(result)

    def patched(self, name: str) -> bool:
        """Tell whether a patch is on for this execution: not where history passed it without."""
        known = self.patches.get(name)
        if known is None:
            known = name in self.known_patches or not self.replaying
            self.patches[name] = known
        return known

    def id_for_long(self) -> str:
        """Return the next child's id, for one that may outlive this execution.

        What a restarted workflow starts must not meet it under the same id.
        """
        return f"{self.instance}:{self.runner.number + 1:04x}:{self.id[:8]}"

    def uuid_number(self) -> int:
        """Return the number of the next id that the code makes, from 1 on."""
        self._uuids += 1
        return self._uuids

    def end(
        self,
        status: WorkflowState,
        result: str | None = None,
        failure: Failure | None = None,
        *,
        begun: bool = False,
    ) -> None:
        """End the execution.

        Args:
            status: how it ends.
            result: what it gives, or the next execution's input.
            failure: why it failed.
            begun: whether the activities and children begin that were asked for in this turn.
        """
        if self.ended is None:
            self.pending = self._begun() if begun else {}
            self.ended = CompleteWorkflow(self.next_number(), status, result, failure)

    def linger(self, then: Callable[[], None]) -> bool:
        """Do something in the next turn, if activities or children begin in this one.

        The runtime begins nothing in a turn that ends with a new execution.
        """
        self._waiters.clear()
        self.pending = self._begun()
        if self.pending:
            self.timer(self.now, TimerOrigin("timer"), then, None)
        return bool(self.pending)

    def unread(self) -> tuple[EventRaised, ...]:
        """Return the events that nobody has waited for."""
        return tuple(event for events in self._buffered.values() for event in events)

    def move_down(self, number: int) -> None:
        """Give every action after ``number`` the number before its own."""
        self.runner.number -= 1
        for known in sorted(each for each in self.pending if each > number):
            pending = self.pending.pop(known)
            pending.action.id = known - 1
            self.pending[known - 1] = pending
        tables: tuple[dict[int, Any], dict[int, Any]] = (self.tasks, self.timers)
        for found in tables:
            for known in sorted(each for each in found if each > number):
                found[known - 1] = found.pop(known)

    def branch(self, awaitables: tuple[Awaitable[Any], ...]) -> list[Task[Any]]:
        """Return awaitables as tasks; coroutines become branches."""
        return [self.runner.task_of(each) for each in awaitables]

    def unconfirmed(self) -> tuple[Action, ...]:
        """Return the actions that history has not confirmed, complete."""
        for each in self.pending.values():
            if isinstance(each.action, ScheduleTask):
                each.action.execution = execution_id(self.id, each.first)
        return tuple(each.action for each in self.pending.values())

    def _begun(self) -> dict[int, Pending]:
        pending = self.pending.items()
        work = ScheduleTask | CreateChild
        return {number: each for number, each in pending if isinstance(each.action, work)}

    def _take_buffered(self, task: Task[Any], key: str) -> bool:
        buffered = self._buffered.get(key)
        if not buffered:
            return False
        event = buffered.pop(0)
        if not buffered:
            del self._buffered[key]
        task.settle_text(event.input)
        return True

    def _target(self, callee: Callee) -> str:
        return "" if callee.app_id == self.app else callee.app_id

    def _again(self, task: Called) -> None:
        number = self.next_number()
        task.attempt += 1
        task.action = msgspec.structs.replace(task.action, id=number)
        self.tasks[number] = task
        self.pending[number] = Pending(task.action, None, task.first)

    def _retry_origin(self, task: Called) -> TimerOrigin:
        if isinstance(task.action, CreateChild):
            return TimerOrigin("child-retry", task.action.instance)
        return TimerOrigin("activity-retry", execution_id(self.id, task.first))


def described(action: Action) -> str:
    """Return what an action is, for messages."""
    match action:
        case ScheduleTask(name=name, target=target):
            return f"activity '{name}'{_of(target)}"
        case CreateChild(name=name, target=target):
            return f"workflow '{name}'{_of(target)}"
        case CreateTimer(origin=TimerOrigin(kind="event", of=name)):
            return f"a wait for event '{name}'"
        case CreateTimer():
            return "a timer"
        case CompleteWorkflow():
            return "the end of the workflow"
        case _:
            return "nothing"


def _of(target: str) -> str:
    return f" of app '{target}'" if target else ""
