"""What must hold when a run is over: of histories, events, activities, and of what is left."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import msgspec

from daprflow.protocol import workflow_messages as wf
from daprflow.protocol.history_codec import read_events
from daprflow.workflows.replay import Replay, Rules
from tests.simulation.clients import Clients
from tests.simulation.code import workflows_of
from tests.simulation.grammar import Scenario, Start, digest_of
from tests.simulation.ledger import Execution
from tests.simulation.model import AGAIN, COMPLETED, Model, Wrong
from tests.simulation.world import START, World


def model_of(scenario: Scenario, world: World, execution: Execution) -> Model:
    """Return the model of an execution, as far as its history goes."""
    ends = Ends(world.ledger.executions)
    model = Model(scenario.programs, lambda number, event: ends.check(execution, number, event))
    model.read((*execution.events, *execution.last))
    return model


def unread(world: World) -> frozenset[str]:
    """Return the events that wait for instances, by what they bring."""
    return frozenset(
        msgspec.json.decode(event.eventRaised.input.value)
        for _, data in world.ledger.look_at_inboxes(world.sidecar.writer.reader)
        if (event := wf.HistoryEvent.FromString(data)).HasField("eventRaised")
    )


class Ends:
    """How child workflows ended, by who started them."""

    def __init__(self, executions: Sequence[Execution]) -> None:
        self._by_link: dict[tuple[str, str, int], list[Execution]] = {}
        for execution in executions:
            started = execution.started
            if started is not None and started.HasField("parentInstance"):
                parent = started.parentInstance
                link = (
                    parent.workflowInstance.instanceId,
                    parent.workflowInstance.executionId.value,
                    parent.taskScheduledId,
                )
                self._by_link.setdefault(link, []).append(execution)

    def check(self, parent: Execution, number: int, event: wf.HistoryEvent) -> None:
        """Compare what a parent was told of a child with how that ended.

        Raises:
            Wrong: it did not end so.
        """
        started = parent.started
        assert started is not None
        link = parent.instance, started.workflowInstance.executionId.value, number
        found = self._by_link.get(link, [])
        last = next((each for each in reversed(found) if each.is_over and each.events), None)
        if event.HasField("childWorkflowInstanceFailed"):
            failed = event.childWorkflowInstanceFailed
            if failed.failureDetails.errorType == "WorkflowInstanceAlreadyExists":
                if parent.generation or found:
                    return
                raise Wrong(f"'{parent.instance}' #{number}: nobody has that id")
        ended = None if last is None else last.events[-1].executionCompleted
        good = event.HasField("childWorkflowInstanceCompleted")
        if ended is None or (ended.workflowStatus == COMPLETED) is not good:
            raise Wrong(f"'{parent.instance}' #{number}: its child did not end so: {event}")
        if good and ended.result.value != event.childWorkflowInstanceCompleted.result.value:
            raise Wrong(f"'{parent.instance}' #{number}: its child returned something else")


class Checks:
    """What must hold when everything is over."""

    def __init__(self, scenario: Scenario, world: World, clients: Clients) -> None:
        self._scenario = scenario
        self._world = world
        self._clients = clients
        self._models: dict[int, Model] = {}

    def check(self) -> None:
        """Check everything.

        Raises:
            Wrong: something does not hold.
        """
        executions = self._world.ledger.executions
        ends = Ends(executions)
        for execution in executions:
            self._check_execution(execution, ends)
        for before, after in self._followed(executions):
            self._check_followed(before, after)
        self._check_starts(executions)
        self._check_events(executions)
        self._check_activities()
        self._check_leftovers()

    def _check_execution(self, execution: Execution, ends: Ends) -> None:
        def check(number: int, event: wf.HistoryEvent) -> None:
            ends.check(execution, number, event)

        model = self._models[id(execution)] = Model(self._scenario.programs, check)
        try:
            model.read((*execution.events, *execution.last))
            _check_end(execution, model)
            self._replay(execution, model)
        except Wrong as wrong:
            raise Wrong(f"'{execution.instance}' ({execution.generation}): {wrong}") from None

    def _replay(self, execution: Execution, model: Model) -> None:
        """Go through the whole history from scratch, as a worker does that was never there."""
        changed = self._world.changed
        workflows = workflows_of(self._scenario.programs, lambda: changed)
        replay = Replay(workflows, execution.instance, Rules(inputs=True))
        events: list[wf.HistoryEvent] = [
            each
            for each in (*execution.events, *execution.last)
            if not each.HasField("executionCompleted")
        ]
        turn = replay.turn(read_events(events), ())
        replay.close()
        if replay.problem is not None:
            raise Wrong(f"a replay from scratch finds: {replay.problem}")
        ended = replay.execution.ended
        status = None if ended is None else int(ended.status)
        wanted = model.end.status if model.end is not None else None
        if status != wanted and not (status == AGAIN and model.end and model.end.number == -1):
            raise Wrong(f"a replay from scratch ends as {status}, not {wanted}: {turn}")

    def _followed(self, executions: Sequence[Execution]) -> Iterator[tuple[Execution, Execution]]:
        by_place = {(each.row, each.generation): each for each in executions}
        for (row, generation), before in by_place.items():
            after = by_place.get((row, generation + 1))
            if after is not None:
                yield before, after

    def _check_followed(self, before: Execution, after: Execution) -> None:
        """Check what an execution left to the next one."""
        end, started = self._models[id(before)].end, after.started
        begun = before.started
        if end is None or started is None or begun is None or end.carried is None:
            raise Wrong(f"'{before.instance}' did not end so that another execution follows")
        first = msgspec.json.decode(begun.input.value, type=Start)
        wanted = Start(first.program, first.body + 1, digest_of(end.trail))
        if msgspec.json.decode(started.input.value, type=Start) != wanted:
            raise Wrong(f"'{before.instance}' left {started.input.value}, not {wanted}")
        if started.parentInstance != begun.parentInstance:
            raise Wrong(f"'{before.instance}' has another parent than before")
        after_start = _raised_in([*after.events, *after.last])
        for name, payloads in end.carried.items():
            here = [payload for each, payload in after_start if each == name]
            if here[: len(payloads)] != list(payloads):
                raise Wrong(f"'{before.instance}' lost events on its way: {payloads}, {here}")

    def _check_starts(self, executions: Sequence[Execution]) -> None:
        starts = Counter(each.instance for each in executions if not each.generation)
        for instance in self._scenario.roots:
            if starts[instance] != 1:
                raise Wrong(f"'{instance}' began {starts[instance]} times")
            delay = self._scenario.delays.get(instance)
            found = next(each for each in executions if each.instance == instance)
            first = [*found.events, *found.last]
            ended = any(each.HasField("executionTerminated") for each in first)
            if delay and not ended and first[0].timestamp.seconds < START + delay:
                raise Wrong(f"'{instance}' began early")

    def _check_events(self, executions: Sequence[Execution]) -> None:
        """Check that every event came as often as it was sent, and that none was lost."""
        arrived: Counter[str] = Counter()
        for each in executions:
            arrived.update(payload for _, payload in _raised_in([*each.events, *each.last]))
        for before, _ in self._followed(executions):
            end = self._models[id(before)].end
            carried = {} if end is None or end.carried is None else end.carried
            arrived.subtract(payload for payloads in carried.values() for payload in payloads)
        left = self._clients.left | unread(self._world)
        for payload, was_over in self._clients.taken.items():
            if not arrived[payload] and not was_over and payload not in left:
                raise Wrong(f"the event '{payload}' was taken, and is lost")
        for payload, count in arrived.items():
            limit = self._clients.sent[payload] if self._world.cuts else 1
            if count > limit:
                raise Wrong(f"the event '{payload}' came {count} times")

    def _check_activities(self) -> None:
        """Check that no attempt was made again where nothing was cut off.

        What a full disk or an orderly end cuts off is cut off later, and for a while: an instance
        may be read again twice, once for the write that failed and once for one on its way then.
        """
        for key, steps in self._world.executed.items():
            if self._world.lingering and len(steps) <= 1 + 2 * len(self._world.cuts):
                continue
            for first, second in pairwise(steps):
                if not any(first <= cut < second for cut in self._world.cuts):
                    raise Wrong(f"activity {key[0]} #{key[2]} was executed twice for no reason")

    def _check_leftovers(self) -> None:
        """Check that nothing is left in the memory of the engine and of the workers."""
        world, hub = self._world, self._world.sidecar.hub
        left: dict[str, Any] = {
            "instances": hub.live,
            "alarms": hub.alarms._due,
            "watchers": hub._watchers,
            "work": world.sidecar.work.count,
        }
        for app, host in hub._hosts.items():
            left |= {
                f"items of {app}": host._items,
                f"turns of {app}": [each for each in host._turns if not each.done],
                f"tasks of {app}": [each for each in host._tasks if not each.done],
                f"activities of {app}": host._tasks_by_id,
                f"owners in {app}": host._sticky,
                f"running in {app}": sum(host._running.values()),
                f"held in {app}": [item for stream in host.streams for item in stream.held],
                f"own in {app}": [item for stream in host.streams for item in stream.own],
            }
        for number, life in enumerate(world.workers):
            left |= {
                f"worker {number}": life.working._tasks,
                f"problems of {number}": life.instances._problems,
            }
            if not world.cuts:
                left |= {
                    f"workflows in {number}": life.instances._kept,
                    f"activities in {number}": life.working._performing,
                }
        found = {name: value for name, value in left.items() if value}
        if found:
            raise Wrong(f"left over: {found}")


def _check_end(execution: Execution, model: Model) -> None:
    if model.expected or model.end is None:
        raise Wrong(f"it lacks {list(model.expected)}, {model.end}")
    is_last = not execution.last
    if (model.end.status == AGAIN) is is_last:
        raise Wrong(f"it ended otherwise than as {model.end}")
    if is_last and execution.custom != model.custom:
        raise Wrong(f"its status is {execution.custom}, not {model.custom}")


def _raised_in(events: Sequence[wf.HistoryEvent]) -> list[tuple[str, str]]:
    return [
        (each.eventRaised.name.casefold(), msgspec.json.decode(each.eventRaised.input.value))
        for each in events
        if each.HasField("eventRaised")
    ]
