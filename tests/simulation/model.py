"""What must come of a program: a plain model of the language that reads a history event by event.

It shares nothing with the worker and the engine. Of a history it takes the order in which outcomes
came, nothing else: every value, number, moment and end is what the program says.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import msgspec

from daprflow.protocol import workflow_messages as wf
from tests.simulation.grammar import (
    OWN,
    Body,
    Call,
    Child,
    Gather,
    Leaf,
    Patched,
    Race,
    Saga,
    Show,
    Sleep,
    Start,
    Statement,
    Task,
    Wait,
    value_of,
)

NANOS = 1_000_000_000
NEVER = 253_000_000_000
COMPLETED, AGAIN, FAILED, TERMINATED = 1, 2, 3, 5
"""States of executions, as Dapr numbers them."""

Fiber = Generator["Promise", Any, Any]


class Wrong(AssertionError):  # noqa: N818 - named for what it says
    """Something is not as it must be."""


class Broken(Exception):  # noqa: N818 - what breaks off a body
    """An error that the program's code sees, by the name of its type."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


class Anew(Exception):  # noqa: N818 - no error
    """The body ends, and the next one begins."""


class Promise:
    """Something that is not there yet."""

    __slots__ = ("done", "error", "value", "watchers")

    def __init__(self) -> None:
        self.done = False
        self.value: Any = None
        self.error: Broken | None = None
        self.watchers: list[Callable[[], None]] = []

    def settle(self, value: Any = None, error: Broken | None = None) -> None:
        """End it, the first time."""
        if not self.done:
            self.done, self.value, self.error = True, value, error
            watchers, self.watchers = self.watchers, []
            for each in watchers:
                each()

    def watch(self, watcher: Callable[[], None]) -> None:
        """Call somebody when it is done."""
        if self.done:
            watcher()
        else:
            self.watchers.append(watcher)


@dataclass(frozen=True, slots=True)
class Expected:
    """An action that the history has to tell of next.

    Attributes:
        kind: the field of the event.
        at: when a timer is due, None for never.
    """

    kind: str
    number: int
    leaf: Leaf | None = None
    at: int | None = None


@dataclass(slots=True)
class _Attempted:
    """A call or a child workflow, with how often it was tried."""

    leaf: Call | Child
    promise: Promise
    attempt: int = 1


@dataclass(slots=True)
class End:
    """How an execution ends.

    Attributes:
        status: as Dapr numbers it.
        trail: what it returns, or leaves.
        carried: unread events by name for the next one, None where there is none.
        keeps: whether events still go there.
    """

    status: int
    number: int
    trail: list[Any] = field(default_factory=list)
    output: str | None = None
    carried: Mapping[str, Sequence[str]] | None = None
    keeps: bool = False


class Model:
    """One execution.

    Args:
        programs: bodies by program.
        outcome_of: gives what the child workflow of an action came to: its result as JSON, None
            where it failed. It raises `Wrong` where that child has no such end.

    Attributes:
        end: how it ended; None while it goes on.
        custom: the custom status.
        suspended: whether it waits to be resumed.
    """

    def __init__(
        self,
        programs: Mapping[str, Sequence[Body]],
        outcome_of: Callable[[int, wf.HistoryEvent], None],
    ) -> None:
        self._programs = programs
        self._outcome_of = outcome_of
        self.end: End | None = None
        self.custom: str | None = None
        self.suspended = False
        self.instance = ""
        self.body: Body | None = None
        self.open: dict[int, _Attempted] = {}
        self.timers: dict[int, Callable[[], None]] = {}
        self.due: dict[int, int | None] = {}
        self.expected: deque[Expected] = deque()
        self._number = 0
        self._now = 0
        self._ready: deque[tuple[Fiber, Promise, Promise]] = deque()
        self._main = Promise()
        self._trail: list[Any] = []
        self._anew = False
        self._lingers = False
        self._held: list[wf.HistoryEvent] = []
        self._buffered: dict[str, list[str]] = {}
        self._waiters: dict[str, list[Promise]] = {}
        self._patches: set[str] = set()
        self._versions: set[str] = set()

    def open_calls(self) -> list[Call]:
        """Return the calls that are under way."""
        return [each.leaf for each in self.open.values() if isinstance(each.leaf, Call)]

    def awaited(self) -> list[str]:
        """Return the events that it waits for, in order."""
        return [name for name, waiters in self._waiters.items() for _ in waiters]

    # ---- history --------------------------------------------------------------------------------

    def read(self, events: Iterable[wf.HistoryEvent]) -> None:
        """Go through events.

        Raises:
            Wrong: the history has what cannot be, or lacks what must be.
        """
        for event in events:
            kind = event.WhichOneof("eventType")
            if kind in _MADE:
                self._compare(event, kind)
            else:
                self._take(event, kind or "")

    def _take(self, event: wf.HistoryEvent, kind: str) -> None:  # noqa: C901 - one for each kind
        if kind == "workflowStarted":
            if self.expected:
                raise Wrong(f"the history lacks {self.expected[0]}")
            self._now = event.timestamp.seconds * NANOS + event.timestamp.nanos
            self._patches.update(event.workflowStarted.version.patches)
            self._versions.update(filter(None, [event.workflowStarted.version.name]))
        elif kind == "executionStarted":
            self._begin(event.executionStarted)
        elif kind == "executionTerminated":
            self._terminate(event.executionTerminated)
        elif self.end is not None:
            self._happen(event, kind)
        elif kind == "executionSuspended":
            self.suspended = True
        elif kind == "executionResumed":
            self.suspended = False
            held, self._held = self._held, []
            for each in held:
                self._happen(each, each.WhichOneof("eventType") or "")
        elif kind == "executionStalled":
            raise Wrong(f"the execution stalled: {event.executionStalled.description}")
        elif self.suspended:
            self._held.append(event)
        else:
            self._happen(event, kind)

    def _terminate(self, event: wf.ExecutionTerminatedEvent) -> None:
        output = event.input.value or None
        if self.end is None:
            self._number += 1
            self._finish(End(TERMINATED, self._number, output=output))
        elif self.end.status == AGAIN:  # what was asked for first is not done any more
            self._finish(End(TERMINATED, -1, output=output))

    def _finish(self, end: End) -> None:
        self.end = end
        if end.status in {AGAIN, TERMINATED}:
            self.expected.clear()
        else:
            self._leave_work()
        if end.status != AGAIN:
            self.expected.append(Expected("executionCompleted", end.number))

    def _leave_work(self) -> None:
        """Ask in the last turn for activities and child workflows alone."""
        self.expected = deque(each for each in self.expected if each.leaf is not None)

    def _happen(self, event: wf.HistoryEvent, kind: str) -> None:
        if self.end is not None:
            if kind == "eventRaised" and self.end.keeps:
                self._buffer(event.eventRaised)
            return
        match kind:
            case "taskCompleted":
                self._completed(event.taskCompleted.taskScheduledId, event)
            case "childWorkflowInstanceCompleted":
                self._completed(event.childWorkflowInstanceCompleted.taskScheduledId, event)
            case "taskFailed":
                self._failed(event.taskFailed.taskScheduledId, event)
            case "childWorkflowInstanceFailed":
                self._failed(event.childWorkflowInstanceFailed.taskScheduledId, event)
            case "timerFired":
                self._fired(event.timerFired)
            case "eventRaised":
                self._raised(event.eventRaised)
            case _:
                raise Wrong(f"nobody knows of {kind}")
        self._drain()

    def _completed(self, number: int, event: wf.HistoryEvent) -> None:
        open_ = self._resolved(number)
        if isinstance(open_.leaf, Call):
            call, text = open_.leaf, event.taskCompleted.result.value
            if open_.attempt <= call.fails or text != str(value_of(call.label)):
                raise Wrong(f"attempt {open_.attempt} of {call} cannot have returned {text}")
            open_.promise.settle(value_of(call.label))
        else:
            self._outcome_of(number, event)
            result = event.childWorkflowInstanceCompleted.result.value
            open_.promise.settle(msgspec.json.decode(result))

    def _failed(self, number: int, event: wf.HistoryEvent) -> None:
        open_ = self._resolved(number)
        leaf, again = open_.leaf, True
        if isinstance(leaf, Call):
            kind = event.taskFailed.failureDetails.errorType
            if open_.attempt > leaf.fails or kind != ("Final" if leaf.final else "Failing"):
                raise Wrong(f"attempt {open_.attempt} of {leaf} cannot have failed so: {event}")
            again = not leaf.final
            wait = leaf.pause * leaf.backoff ** (open_.attempt - 1)
        else:
            self._outcome_of(number, event)
            again = event.childWorkflowInstanceFailed.HasField("failureDetails")
            wait = 1
        if not again or open_.attempt >= leaf.attempts:
            name = "ActivityFailed" if isinstance(leaf, Call) else "WorkflowFailed"
            open_.promise.settle(error=Broken(name))
            return

        def try_again() -> None:
            open_.attempt += 1
            self._ask(open_)

        self._timer(wait, try_again)

    def _resolved(self, number: int) -> _Attempted:
        open_ = self.open.pop(number, None)
        if open_ is None:
            raise Wrong(f"#{number} has a result, but nobody waits for one (twice?)")
        return open_

    def _fired(self, event: wf.TimerFiredEvent) -> None:
        fired, due = self.timers.pop(event.timerId, None), self.due.pop(event.timerId, None)
        if fired is None or due is None:
            raise Wrong(f"timer #{event.timerId} fired, but there is none (or it did before)")
        if event.fireAt.seconds * NANOS + event.fireAt.nanos != due:
            raise Wrong(f"timer #{event.timerId} was due at {due}: {event}")
        fired()

    def _raised(self, event: wf.EventRaisedEvent) -> None:
        name, payload = event.name.casefold(), msgspec.json.decode(event.input.value)
        waiters = self._waiters.get(name)
        if waiters:
            waiters.pop(0).settle(payload)
        else:
            self._buffer(event)

    def _buffer(self, event: wf.EventRaisedEvent) -> None:
        payload = msgspec.json.decode(event.input.value)
        self._buffered.setdefault(event.name.casefold(), []).append(payload)

    # ---- what the history has to tell -----------------------------------------------------------

    def _compare(self, event: wf.HistoryEvent, kind: str) -> None:
        if not self.expected:
            raise Wrong(f"the program does not ask for this: {event}")
        wanted = self.expected.popleft()
        if kind != wanted.kind or event.eventId != wanted.number:
            raise Wrong(f"the program asks for {wanted}, not for: {event}")
        match kind:
            case "taskScheduled":
                self._compare_call(event, wanted.leaf)
            case "timerCreated":
                at = event.timerCreated.fireAt
                due = None if at.seconds > NEVER else at.seconds * NANOS + at.nanos
                if due != wanted.at:
                    raise Wrong(f"the timer is due at {wanted.at}: {event}")
            case "childWorkflowInstanceCreated":
                made, leaf = event.childWorkflowInstanceCreated, wanted.leaf
                same = isinstance(leaf, Child) and (
                    msgspec.json.decode(made.input.value, type=Start) == Start(leaf.program)
                    and (event.router.targetAppID or OWN) == leaf.app
                )
                if not same:
                    raise Wrong(f"the program starts {wanted}, not: {event}")
            case "executionCompleted":
                self._compare_end(event.executionCompleted)

    def _compare_call(self, event: wf.HistoryEvent, call: Leaf | None) -> None:
        made = event.taskScheduled
        given = msgspec.json.decode(made.input.value, type=Task)
        same = isinstance(call, Call) and (
            (given.label, given.fails, given.final) == (call.label, call.fails, call.final)
            and bool(given.note) == call.noted
            and (event.router.targetAppID or event.router.sourceAppID) == call.app
        )
        if not same:
            raise Wrong(f"the program calls {call}, not: {event}")

    def _compare_end(self, event: wf.ExecutionCompletedEvent) -> None:
        end = self.end
        if end is None or event.workflowStatus != end.status:
            raise Wrong(f"it ends as {end}, not as: {event}")
        if end.status == COMPLETED:
            result = msgspec.json.decode(event.result.value)
            if result != end.trail:
                raise Wrong(f"it returns {end.trail}, not {result}")
        elif end.status == FAILED:
            if event.failureDetails.errorType != "ValueError":
                raise Wrong(f"it fails with a ValueError, not with: {event}")
        elif event.result.value != (end.output or ""):
            raise Wrong(f"it is terminated with {end.output}, not with: {event}")

    # ---- the language ---------------------------------------------------------------------------

    def _begin(self, event: wf.ExecutionStartedEvent) -> None:
        start = msgspec.json.decode(event.input.value, type=Start)
        self.body = self._programs[start.program][start.body]
        self.instance = event.workflowInstance.instanceId
        self._trail = [start.carry]
        self._go(self._whole(self.body), self._main)
        self._drain()

    def _go(self, fiber: Fiber, promise: Promise) -> Promise:
        self._ready.append((fiber, promise, Promise()))
        return promise

    def _drain(self) -> None:
        while self._ready and not self._anew:
            self._step(*self._ready.popleft())
        if self.end is not None or self.body is None:
            return
        if self._anew and not self._lingers:
            self._lingers = True
            self._waiters.clear()
            self._leave_work()
            if self.expected:  # a turn that begins anew begins nothing else
                self._timer(0, self._begin_anew)
            else:
                self._begin_anew()
        elif not self._anew and self._main.done:
            self._number += 1
            status = COMPLETED if self._main.error is None else FAILED
            self._finish(End(status, self._number, self._trail))

    def _begin_anew(self) -> None:
        self._number += 1
        keeps = self.body is not None and bool(self.body.keep)
        carried = self._buffered if keeps else {}
        self._finish(End(AGAIN, self._number, self._trail, carried=carried, keeps=keeps))

    def _step(self, fiber: Fiber, promise: Promise, awaited: Promise) -> None:
        try:
            while True:
                value, error = awaited.value, awaited.error
                awaited = fiber.send(value) if error is None else fiber.throw(error)
                if not awaited.done:
                    awaited.watch(partial(self._ready.append, (fiber, promise, awaited)))
                    return
        except StopIteration as ended:
            promise.settle(ended.value)
        except Anew:
            self._anew = True
        except Broken as broken:
            promise.settle(error=broken)

    def _whole(self, body: Body) -> Fiber:
        for statement in body.statements:
            try:
                value = yield from self._statement(statement)
            except Broken as broken:
                value = f"!{broken.kind}"
            self._trail.append(value)
        if body.keep is not None:
            raise Anew
        if body.fails:
            raise Broken("ValueError")

    def _statement(self, statement: Statement) -> Fiber:  # noqa: PLR0911 - one for each kind
        match statement:
            case Gather():
                return (yield self._gathered([self._branch(each) for each in statement.branches]))
            case Race():
                first, promises = Promise(), [self._leaf(each) for each in statement.leaves]
                for number, each in enumerate(promises):
                    each.watch(lambda number=number: self._win(number, first, promises))  # type: ignore[misc]
                number = yield first
                return [number, (yield promises[number])]
            case Saga():
                return (yield from self._saga(statement))
            case Show():
                self.custom = statement.text
                return None
            case Patched():
                known = self._versions if statement.versioned else self._patches
                changed = bool(known)
                return (yield self._leaf(statement.new if changed else statement.old))
            case Child(detached=True):
                self._leaf(statement)
                return "begun"
            case _:
                return (yield self._leaf(statement))

    def _win(self, number: int, first: Promise, promises: Sequence[Promise]) -> None:
        """End a race; waits that lost leave events to others."""
        if not first.done:
            first.settle(number)
            for waiters in self._waiters.values():
                waiters[:] = [each for each in waiters if each not in promises or each.done]

    def _saga(self, statement: Saga) -> Fiber:
        undos: list[Call] = []
        try:
            for step, undo in statement.steps:
                yield self._leaf(step)
                undos.append(undo)
            if statement.fails:
                raise Broken("ValueError")  # noqa: TRY301 - as the program does
        except Broken:
            for undo in reversed(undos):
                try:
                    yield self._leaf(undo)
                except Broken:
                    continue
            raise
        return "kept"

    def _branch(self, branch: Leaf | Sequence[Leaf]) -> Promise | Sequence[Leaf]:
        return branch if isinstance(branch, Sequence) else self._leaf(branch)

    def _gathered(self, branches: Sequence[Promise | Sequence[Leaf]]) -> Promise:
        def one_by_one(leaves: Sequence[Leaf]) -> Fiber:
            found = []
            for each in leaves:
                value = yield self._leaf(each)
                found += [value]
            return found

        promises = [
            each if isinstance(each, Promise) else self._go(one_by_one(each), Promise())
            for each in branches
        ]
        whole = Promise()

        def look(promise: Promise) -> None:
            if promise.error is not None:
                whole.settle(error=promise.error)
            elif all(each.done and each.error is None for each in promises):
                whole.settle([each.value for each in promises])

        for each in promises:
            each.watch(lambda each=each: look(each))  # type: ignore[misc]
        return whole

    def _leaf(self, leaf: Leaf) -> Promise:
        promise = Promise()
        match leaf:
            case Call() | Child():
                self._ask(_Attempted(leaf, promise))
            case Sleep():
                self._timer(leaf.seconds, promise.settle)
            case Wait():
                self._wait(leaf, promise)
        return promise

    def _ask(self, attempted: _Attempted) -> None:
        self._number += 1
        kind = "childWorkflowInstanceCreated"
        if isinstance(attempted.leaf, Call):
            kind = "taskScheduled"
        self.open[self._number] = attempted
        self.expected.append(Expected(kind, self._number, attempted.leaf))

    def _timer(self, seconds: int | None, fired: Callable[[], None]) -> None:
        self._number += 1
        at = None if seconds is None else self._now // 1000 * 1000 + seconds * NANOS
        self.timers[self._number], self.due[self._number] = fired, at
        self.expected.append(Expected("timerCreated", self._number, at=at))

    def _wait(self, wait: Wait, promise: Promise) -> None:
        buffered = self._buffered.get(wait.event)
        if buffered:
            promise.settle(buffered.pop(0))
            return
        waiters = self._waiters.setdefault(wait.event, [])
        waiters.append(promise)

        def late() -> None:
            if promise.done:
                return
            if promise in waiters:
                waiters.remove(promise)
            if wait.default:
                promise.settle("late")
            else:
                promise.settle(error=Broken("TimeoutError"))

        self._timer(wait.timeout, late)


_MADE = frozenset(
    {"taskScheduled", "timerCreated", "childWorkflowInstanceCreated", "executionCompleted"}
)
