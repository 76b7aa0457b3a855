"""Plays a workflow against scripted outcomes: pure, without a sidecar and without waiting."""

from collections.abc import Callable, Mapping
from typing import Any, Self

import msgspec

from daprflow import DaprFlow
from daprflow.protocol import history
from daprflow.protocol.history import HistoryEvent
from daprflow.protocol.workflow_actions import (
    Action,
    CompleteWorkflow,
    CreateChild,
    CreateTimer,
    ScheduleTask,
    Turn,
    VersionMissing,
    WorkflowState,
)
from daprflow.workflows.failures import failure_of
from daprflow.workflows.replay import Replay, Rules
from daprflow.workflows.watching import CallGuard

START = 1_800_000_000_000_000_000
WATCHED = Rules(CallGuard(), inputs=True)
Outcomes = Mapping[str, Callable[[Any], Any]]


class Play:
    """One instance: what is new goes in, and every turn is replayed from scratch, too.

    A workflow that is kept between its turns must ask for the same as one that is not.
    """

    def __init__(self, app: DaprFlow, rules: Rules = WATCHED, *, keep: bool = True) -> None:
        app.freeze()
        self.workflows = app.work().workflows
        self.past: list[HistoryEvent] = []
        self.now = START
        self.rules = rules
        self.replay = Replay(self.workflows, "w1", rules)
        self._kept = Replay(self.workflows, "w1") if keep else None
        self.asked: list[Action] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.replay.close()
        if self._kept is not None:
            self._kept.close()

    def start(self, name: str, value: object = None, **started: Any) -> Turn:
        """The first turn."""
        text = None if value is None else msgspec.json.encode(value).decode()
        event = history.ExecutionStarted(
            self.now, name=name, input=text, instance="w1", execution="e1", app="app", **started
        )
        return self.turn(event)

    def turn(self, *events: HistoryEvent) -> Turn:
        """Another turn, from scratch."""
        self.now += 1_000_000_000
        new = [history.WorkflowStarted(self.now), *events]
        self.replay.close()
        self.replay = Replay(self.workflows, "w1", self.rules)
        turn = self.replay.turn(self.past, new)
        if self._kept is not None:
            kept = self._kept.turn(self.past[self._kept.seen :], new)
            assert self.replay.problem is not None or kept == turn or _failed(turn)
        self.past += new
        for action in turn.actions:
            self.asked.append(action)
            self.past += confirmation(action, self.now)
        if turn.version or turn.patches:
            started = history.WorkflowStarted(self.now, turn.version, turn.patches)
            self.past[self.past.index(new[0])] = started
        return turn

    def run(self, outcomes: Outcomes, turn: Turn) -> Turn:
        """Answer every activity and child at once, and fire every timer, until it has ended."""
        pending = list(turn.actions)
        while pending:
            action = pending.pop(0)
            event = outcome(action, outcomes, self.now)
            if event is None:
                continue
            turn = self.turn(event)
            pending += turn.actions
            if ended(turn):
                break
        return turn


def outcome(action: Action, outcomes: Outcomes, now: int) -> HistoryEvent | None:
    """What comes of an action."""
    match action:
        case (
            ScheduleTask(id=number, name=name, input=text)
            | CreateChild(id=number, name=name, input=text)
        ):
            value = None if text is None else msgspec.json.decode(text)
            child = isinstance(action, CreateChild)
            try:
                result = outcomes[name](value) if name in outcomes else value
            except Exception as error:  # noqa: BLE001 - a scripted failure
                failure = failure_of(error)
                if child:
                    return history.ChildFailed(now, scheduled=number, failure=failure)
                return history.TaskFailed(now, scheduled=number, failure=failure)
            encoded = None if result is None else msgspec.json.encode(result).decode()
            if child:
                return history.ChildCompleted(now, scheduled=number, result=encoded)
            return history.TaskCompleted(now, scheduled=number, result=encoded)
        case CreateTimer(id=number, fire_at=int(fire_at)):
            return history.TimerFired(fire_at, timer=number, fire_at=fire_at)
    return None


def confirmation(action: Action, now: int) -> list[HistoryEvent]:
    """What a sidecar writes down for an action."""
    match action:
        case ScheduleTask():
            return [
                history.TaskScheduled(
                    now, id=action.id, name=action.name, input=action.input, target=action.target
                )
            ]
        case CreateChild():
            return [
                history.ChildCreated(
                    now,
                    id=action.id,
                    name=action.name,
                    instance=action.instance,
                    input=action.input,
                )
            ]
        case CreateTimer():
            return [
                history.TimerCreated(
                    now, id=action.id, fire_at=action.fire_at, origin=action.origin
                )
            ]
    return []


def ended(turn: Turn) -> bool:
    """Whether the instance has no further turn."""
    return any(isinstance(each, CompleteWorkflow | VersionMissing) for each in turn.actions)


def result_of(turn: Turn) -> Any:
    """The result of a workflow that completed in a turn."""
    (action,) = turn.actions
    assert isinstance(action, CompleteWorkflow)
    assert action.status is WorkflowState.COMPLETED, action.failure
    return None if action.result is None else msgspec.json.decode(action.result)


def failure_in(turn: Turn) -> history.Failure:
    """Why a workflow failed in a turn."""
    (action,) = turn.actions
    assert isinstance(action, CompleteWorkflow)
    assert action.failure is not None, action
    return action.failure


def _failed(turn: Turn) -> bool:
    return any(isinstance(each, CompleteWorkflow) and each.failure for each in turn.actions)
