"""What follows from a worker's answer, without a worker, a store or a clock."""

from collections.abc import Sequence

import pytest

from daprflow.protocol import workflow_messages as wf
from daprflow.sidecar.workflows import events
from daprflow.sidecar.workflows.execution import Child, Execution
from daprflow.sidecar.workflows.turn import UNSUPPORTED, Author, Step, advance

NOW = 1_700_000_000.0
PLACE = Author("app1", "i1", NOW)


def begin(parent: wf.ParentInstanceInfo | None = None) -> list[wf.HistoryEvent]:
    """Return the first batch of an instance."""
    request = wf.CreateInstanceRequest(instanceId="i1", name="w")
    request.input.value = "1"
    start = events.started(request, "e1", NOW)
    if parent is not None:
        start.executionStarted.parentInstance.CopyFrom(parent)
    return [events.turn_started(NOW), start]


def action(number: int) -> wf.WorkflowAction:
    """Return an action that asks for nothing yet."""
    return wf.WorkflowAction(id=number)


def task(number: int, name: str = "a") -> wf.WorkflowAction:
    """Return an action that schedules an activity."""
    made = action(number)
    made.scheduleTask.name = name
    return made


def end(
    number: int, status: int = wf.ORCHESTRATION_STATUS_COMPLETED, result: str = "2"
) -> wf.WorkflowAction:
    """Return an action that ends the execution."""
    made = action(number)
    made.completeWorkflow.workflowStatus = wf.OrchestrationStatus.ValueType(status)
    made.completeWorkflow.result.value = result
    return made


def timer(number: int, event: str = "", name: str = "") -> wf.WorkflowAction:
    """Return an action that sets a timer."""
    made = action(number)
    made.createTimer.fireAt.seconds = int(NOW) + 60
    if event:
        made.createTimer.externalEvent.name = event
    if name:
        made.createTimer.name = name
    return made


def step_of(
    *actions: wf.WorkflowAction,
    batch: Sequence[wf.HistoryEvent] = (),
    execution: Execution | None = None,
) -> Step:
    """Apply an answer."""
    response = wf.WorkflowResponse(instanceId="i1", actions=actions)
    return advance(execution or Execution(), batch or begin(), response, PLACE)


def folded(happened: Sequence[wf.HistoryEvent]) -> Execution:
    """Return what a history comes to."""
    execution = Execution()
    for event in happened:
        execution.apply(event)
    return execution


def kinds(happened: Sequence[wf.HistoryEvent]) -> list[str]:
    """Name what happened."""
    return [event.WhichOneof("eventType") or "" for event in happened]


def test_a_history_grows_by_what_was_given_and_what_was_asked() -> None:
    """The events of the turn come first, then one for each action, with the action's id."""
    step = step_of(task(1), timer(2))
    names = ["workflowStarted", "executionStarted", "taskScheduled", "timerCreated"]
    assert kinds(step.events) == names
    assert [event.eventId for event in step.events] == [-1, -1, 1, 2]
    assert [event.router.sourceAppID for event in step.events[2:]] == ["app1", "app1"]
    assert [event.eventId for event in step.tasks] == [1]


def test_what_is_open_follows_from_the_history() -> None:
    """Tasks, timers and children are open from their creation to their result."""
    child = action(3)
    child.createChildWorkflow.name = "c"
    execution = folded(step_of(task(1), timer(2), child).events)
    assert (list(execution.tasks), list(execution.timers)) == ([1], [2])
    assert execution.children == {3: Child("i1:0003", "")}
    scheduled = execution.tasks[1]
    execution.apply(events.task_result(scheduled, wf.ActivityResponse(), NOW))
    execution.apply(events.timer_fired(2, execution.timers[2], NOW))
    execution.apply(events.child_failed(3, "X", "no", NOW))
    assert (execution.tasks, execution.timers, execution.children) == ({}, {}, {})
    assert execution.descended == {"i1:0003": Child("i1:0003", "")}


def test_a_child_knows_its_parent() -> None:
    """A child begins with the parent's id, execution and app, and the id of what made it."""
    child = action(4)
    child.createChildWorkflow.instanceId = "c1"
    child.createChildWorkflow.name = "c"
    child.router.targetAppID = "app2"
    (creation,) = step_of(child).creations
    link = creation.event.executionStarted.parentInstance
    assert (creation.app_id, creation.instance_id) == ("app2", "c1")
    assert (link.taskScheduledId, link.name.value, link.appID) == (4, "w", "app1")
    assert link.workflowInstance.instanceId == "i1"
    assert link.workflowInstance.executionId.value == "e1"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (wf.ORCHESTRATION_STATUS_COMPLETED, "childWorkflowInstanceCompleted"),
        (wf.ORCHESTRATION_STATUS_FAILED, "childWorkflowInstanceFailed"),
        (wf.ORCHESTRATION_STATUS_TERMINATED, "childWorkflowInstanceFailed"),
    ],
)
def test_a_parent_hears_of_the_end(status: int, kind: str) -> None:
    """Whatever ends a child is told to the execution that made it."""
    parent = wf.ParentInstanceInfo(taskScheduledId=7, appID="app2")
    parent.workflowInstance.instanceId = "p1"
    parent.workflowInstance.executionId.value = "e0"
    (message,) = step_of(end(1, status), batch=begin(parent)).messages
    assert (message.app_id, message.instance_id, message.execution_id) == ("app2", "p1", "e0")
    assert kinds([message.event]) == [kind]
    assert getattr(message.event, kind).taskScheduledId == 7


def test_the_first_end_counts() -> None:
    """An execution ends once; what asks for another end is left out."""
    step = step_of(end(1, result="first"), end(2, result="second"))
    execution = folded(step.events)
    assert execution.completed is not None
    assert execution.completed.result.value == "first"
    assert kinds(step.events).count("executionCompleted") == 1


def test_continuing_as_new_drops_the_history() -> None:
    """The next execution has the new input, another id, and the events nobody took."""
    again = end(3, wf.ORCHESTRATION_STATUS_CONTINUED_AS_NEW, "5")
    again.completeWorkflow.carryoverEvents.append(events.raised("go", None, NOW))
    step = step_of(task(1), again, task(4))
    assert step.restart is not None
    assert (step.events, step.tasks) == ([], [])
    assert kinds(step.restart) == ["executionStarted", "eventRaised"]
    start = step.restart[0].executionStarted
    assert (start.name, start.input.value) == ("w", "5")
    assert start.workflowInstance.executionId.value not in {"", "e1"}


@pytest.mark.row("FS-38")
def test_termination_is_not_lost_to_continuing_as_new() -> None:
    """A worker that goes on although it is to end is ended, and nothing it asked for is done."""
    batch = [*begin(), events.terminated(wf.StringValue(value="9"), NOW, recurse=False)]
    again = end(2, wf.ORCHESTRATION_STATUS_CONTINUED_AS_NEW)
    step = step_of(task(1), again, batch=batch)
    execution = folded(step.events)
    assert execution.status == wf.ORCHESTRATION_STATUS_TERMINATED
    assert execution.completed is not None
    assert execution.completed.result.value == "9"
    assert (step.restart, step.tasks) == (None, [])


def test_termination_goes_down_to_children() -> None:
    """All child workflows are asked to end, once the parent has."""
    child = action(1)
    child.createChildWorkflow.instanceId = "c1"
    child.router.targetAppID = "app2"
    execution = folded(step_of(child).events)
    batch = [events.turn_started(NOW), events.terminated(None, NOW, recurse=True)]
    step = step_of(end(2, wf.ORCHESTRATION_STATUS_TERMINATED), batch=batch, execution=execution)
    (message,) = step.messages
    assert (message.app_id, message.instance_id) == ("app2", "c1")
    assert message.event.executionTerminated.recurse


@pytest.mark.parametrize("kind", ["sendEvent", "terminateWorkflow"])
def test_what_would_hang_fails(kind: str) -> None:
    """An action that the real runtime tries for ever fails the workflow, with the reason."""
    asked = action(1)
    getattr(asked, kind).SetInParent()
    execution = folded(step_of(asked).events)
    assert execution.completed is not None
    assert execution.status == wf.ORCHESTRATION_STATUS_FAILED
    assert execution.completed.failureDetails.errorType == UNSUPPORTED
    assert kind in execution.completed.failureDetails.errorMessage


@pytest.mark.row("R-13")
@pytest.mark.parametrize("made", [timer(1, event="Go"), timer(1, name="Go")])
def test_an_event_ends_the_timer_of_its_wait(made: wf.WorkflowAction) -> None:
    """The oldest timer that guards a wait for an event goes with it; names are of any case."""
    execution = folded(step_of(made, timer(2, event="go"), timer(3)).events)
    execution.apply(events.raised("gO", None, NOW))
    assert list(execution.timers) == [2, 3]
    execution.apply(events.raised("go", None, NOW))
    execution.apply(events.raised("go", None, NOW))
    assert list(execution.timers) == [3]


def test_an_event_before_its_wait_ends_no_later_timer() -> None:
    """An event that came early is the worker's to keep; a timer that is set later stays."""
    execution = folded([*begin(), events.raised("go", None, NOW)])
    for event in step_of(timer(1, event="go"), execution=execution).events:
        execution.apply(event)
    assert list(execution.timers) == [1]


def version(*patches: str, name: str | None = None) -> wf.WorkflowResponse:
    """Return an answer that says which version ran."""
    response = wf.WorkflowResponse(instanceId="i1")
    response.version.patches.extend(patches)
    if name is not None:
        response.version.name = name
    return response


def test_patches_are_written_down_once() -> None:
    """A turn's start names the patches that no earlier turn did, and the version."""
    first = advance(Execution(), begin(), version("a", "b", name="v2"), PLACE)
    execution = folded(first.events)
    assert (execution.patches, execution.version) == (["a", "b"], "v2")
    batch = [events.turn_started(NOW)]
    second = advance(execution, batch, version("a", "b", "c"), PLACE)
    assert list(second.events[0].workflowStarted.version.patches) == ["c"]


def test_code_that_changed_stalls_an_execution() -> None:
    """Where patches of the history are missing nothing follows, and it is said once."""
    execution = folded(advance(Execution(), begin(), version("a", "b"), PLACE).events)
    batch = [events.turn_started(NOW)]
    step = advance(execution, batch, version("b"), PLACE)
    assert (step.stalled, kinds(step.events)) == (True, ["executionStalled"])
    stalled = step.events[0].executionStalled
    assert stalled.reason == wf.PATCH_MISMATCH
    assert stalled.description == (
        "Patch mismatch. History patches: [a, b], current patches: [b]. "
    )
    execution.apply(step.events[0])
    assert execution.status == wf.ORCHESTRATION_STATUS_STALLED
    assert advance(execution, batch, version("b"), PLACE).events == []


def test_a_version_that_no_worker_has_stalls_an_execution() -> None:
    """A worker that lacks the version says so, and the execution waits."""
    execution = folded(advance(Execution(), begin(), version(name="v1"), PLACE).events)
    lacking = action(1)
    lacking.workflowVersionNotAvailable.SetInParent()
    batch = [events.turn_started(NOW)]
    step = step_of(lacking, batch=batch, execution=execution)
    stalled = step.events[0].executionStalled
    assert step.stalled
    assert (stalled.reason, stalled.description) == (
        wf.VERSION_NOT_AVAILABLE,
        "Version not available: v1",
    )


def test_a_trace_that_somebody_follows_is_passed_on() -> None:
    """Activities and child workflows get the trace of the start, if it is sampled."""
    for flags, sampled in (("01", True), ("00", False)):
        parent = f"00-{'1' * 32}-{'2' * 16}-{flags}"
        request = wf.CreateInstanceRequest(instanceId="i1", name="w")
        request.parentTraceContext.traceParent = parent
        batch = [events.turn_started(NOW), events.started(request, "e1", NOW)]
        (scheduled,) = step_of(task(1), batch=batch).tasks
        assert scheduled.taskScheduled.HasField("parentTraceContext") is sampled
