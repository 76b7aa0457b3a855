"""The simulation finds what it is for: defects that are put into engine and worker on purpose."""

import random
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from daprflow.protocol import workflow_messages as wf
from daprflow.sidecar.workflows import events
from daprflow.sidecar.workflows.host import Host
from daprflow.sidecar.workflows.hub import WorkflowHub
from daprflow.sidecar.workflows.instance import Instance
from daprflow.sidecar.workflows.steps import Steps
from daprflow.sidecar.workflows.store import Changes
from daprflow.workflows import instances
from daprflow.workflows.execution import Execution
from daprflow.workflows.instances import Instances
from daprflow.workflows.performing import Performing
from daprflow.workflows.replay import Replay
from tests.simulation.model import Wrong
from tests.simulation.run import simulate

SEEDS = 400
Put = pytest.MonkeyPatch


def wake_before_commit(put: Put) -> None:
    """Activities begin before what scheduled them is kept."""
    keep = Steps._keep

    def early(self: Any, instance: Any, turn: Any, step: Any) -> Any:
        tasks, step.tasks = step.tasks, []
        future = keep(self, instance, turn, step)
        for scheduled in tasks:
            self._hub.begin_task(instance, scheduled)
        return future

    put.setattr(Steps, "_keep", early)


def answers_not_checked(put: Put) -> None:
    """An answer to an earlier turn is taken for one to the turn of the moment."""
    complete = Steps.complete_turn

    async def anyhow(self: Any, app_id: str, response: wf.WorkflowResponse) -> None:
        response.completionToken = ""
        await complete(self, app_id, response)

    put.setattr(Steps, "complete_turn", anyhow)


def results_taken_twice(put: Put) -> None:
    """A result that comes again arrives again."""

    async def complete(self: Any, app_id: str, response: wf.ActivityResponse) -> None:
        found = self._hub.find(app_id, response.instanceId)
        history = [] if found is None else found.history()
        scheduled = next((each for each in history if each.eventId == response.taskId), None)
        if found is not None and scheduled is not None and scheduled.HasField("taskScheduled"):
            item = found.tasks.pop(response.taskId, None)
            if item is not None:
                self._hub.host(app_id).finish(item)
            event = events.task_result(scheduled, response, self._hub.clock.now())
            await self._hub.add(found, event)

    put.setattr(Steps, "complete_task", complete)


def timers_early(put: Put) -> None:
    """Timers fire a second before they are due."""
    fire = Instance.fire
    put.setattr(Instance, "fire", lambda self, now: fire(self, now + 1))


def timers_forgotten(put: Put) -> None:
    """Timers of instances that a restart finds are not set again."""
    expect = WorkflowHub.expect

    def forget(self: Any, key: Any, wake: float) -> None:
        if not wake:
            expect(self, key, wake)

    put.setattr(WorkflowHub, "expect", forget)


def inbox_lost(put: Put) -> None:
    """What arrived during the last turn of an execution is not given to the next one."""
    put.setattr("daprflow.sidecar.workflows.steps._outlives", lambda _: False)


def carried_lost(put: Put) -> None:
    """Unread events are not carried to the next execution."""
    put.setattr(Execution, "unread", lambda _: ())


def commit_in_parts(put: Put) -> None:
    """What a turn was given is taken away, but its history is not kept when the sidecar ends."""
    append = Changes.append
    chance = random.Random(1)  # noqa: S311 - no secret

    def sometimes(self: Any, *values: Any) -> None:
        if chance.random() > 0.05:
            append(self, *values)

    put.setattr(Changes, "append", sometimes)


def inbox_kept(put: Put) -> None:
    """What a turn took stays in the inbox, and is there again after a restart."""
    put.setattr(Changes, "consume", lambda *_: None)


def items_lost(put: Put) -> None:
    """What a broken stream had is not given to another one."""

    def detach(self: Any, stream: Any) -> None:
        if stream in self.streams:
            self.streams.remove(stream)
            stream.ended = True

    put.setattr(Host, "detach", detach)


def history_cut(put: Put) -> None:
    """A worker goes on with what it has of an instance, though that is not what was kept."""
    put.setattr(instances, "_goes_on", lambda known, past, left_out: known.seen >= left_out)


def always_anew(put: Put) -> None:
    """An execution is told that it is at its beginning, whatever its history says."""
    put.setattr(Instances, "take", lambda self, request: (self.new(request.instanceId), 0))
    turn = Instances.turn
    put.setattr(Instances, "turn", lambda self, replay, _, new: turn(self, replay, (), new))


def child_not_told(put: Put) -> None:
    """A parent is not woken by the end of its child."""

    def read(self: Any, message: Any, changes: Any, effects: Any) -> None:
        target = self._hub.find(message.app_id, message.instance_id)
        if target is not None and target.execution.completed is None:
            self._hub.enter(target, message.event, changes)

    put.setattr(Steps, "_send", read)


def activities_twice(put: Put) -> None:
    """A worker runs an activity each time it is asked for, though it runs already."""
    take = Performing.take

    def anyhow(self: Any, *given: Any) -> None:
        self._jobs.clear()
        take(self, *given)

    put.setattr(Performing, "take", anyhow)


def resumed_without_events(put: Put) -> None:
    """What came while an instance was paused is gone when it is resumed."""

    def resume(self: Any, _: Any) -> None:
        self._suspended, self._held = False, []

    appliers = {**Replay._APPLIERS}
    kind = next(each for each in appliers if each.__name__ == "ExecutionResumed")
    appliers[kind] = resume
    put.setattr(Replay, "_APPLIERS", appliers)


def retry_at_once(put: Put) -> None:
    """A failed attempt is tried again without its pause."""
    fire_at = Execution.fire_at

    def soon(self: Any, when: Any) -> int:
        return fire_at(self, when / 2)

    put.setattr(Execution, "fire_at", soon)


def ends_kept_late(put: Put) -> None:
    """An instance whose timer rings while its end is being kept is forgotten."""

    def ring(self: Any, instance: Any) -> None:
        if instance.execution.completed is not None and not instance.tasks:
            self.purge([instance])

    put.setattr(WorkflowHub, "_retain", ring)


MUTATIONS: tuple[Callable[[Put], None], ...] = (
    wake_before_commit,
    answers_not_checked,
    results_taken_twice,
    timers_early,
    timers_forgotten,
    inbox_lost,
    carried_lost,
    commit_in_parts,
    inbox_kept,
    items_lost,
    history_cut,
    always_anew,
    child_not_told,
    activities_twice,
    resumed_without_events,
    retry_at_once,
    ends_kept_late,
)


RARE: Mapping[Callable[[Put], None], int] = {inbox_lost: 300}
"""Defects that few seeds find, and the first seed that is tried."""


def first_found(first: int) -> int | None:
    """The first seed that finds something wrong; None where none does."""
    for seed in range(first, first + SEEDS):
        try:
            simulate(seed)
        except Wrong:
            return seed
    return None


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda each: each.__name__)
def test_a_defect_is_found(mutation: Callable[[Put], None], monkeypatch: Put) -> None:
    """Each defect that is put in on purpose is found by one of a few hundred seeds."""
    with monkeypatch.context() as put:
        mutation(put)
        found = first_found(RARE.get(mutation, 0))
    assert found is not None
    simulate(found)
