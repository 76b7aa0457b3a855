"""A workflow that tests run by hand: steps of every kind, decided from what happened alone."""

from collections.abc import Sequence

from daprflow.protocol import workflow_messages as wf
from tests.helpers.scripted_worker import again, child, end, task, timer

STEPS = ("task", "fan", "timer", "child", "task")
GENERATIONS = 2
ACTIVITIES = GENERATIONS * 6
"""Each execution has five activities, and one of its child workflow."""
EXPECTED = str(ACTIVITIES)
"""The result of an instance whose activities return 1 each."""


def history_of(item: wf.WorkItem) -> list[wf.HistoryEvent]:
    """Return everything that happened in an execution."""
    return [*item.workflowRequest.pastEvents, *item.workflowRequest.newEvents]


def actions_of(events: Sequence[wf.HistoryEvent]) -> list[wf.WorkflowAction]:
    """Run the program of these tests: one step after the other, from what happened alone."""
    start = next(event.executionStarted for event in events if event.HasField("executionStarted"))
    instance_id = start.workflowInstance.instanceId
    made = {event.eventId for event in events if event.eventId > 0}
    results = results_in(events)
    if start.HasField("parentInstance"):
        return [task(1)] if 1 not in made else [end(2, results[1])] if 1 in results else []
    generation, carried = map(int, start.input.value.split(","))
    number, now = 0, max(event.timestamp.seconds for event in events)
    for kind in STEPS:
        ids = range(number + 1, number + (4 if kind == "fan" else 2))
        number = ids[-1]
        if not made.issuperset(ids):
            return [action_of(kind, each, f"{instance_id}-{generation}", now) for each in ids]
        if not results.keys() >= set(ids):
            return []
    total = carried + sum(int(result) for result in results.values())
    if generation < GENERATIONS:
        return [again(number + 1, f"{generation + 1},{total}")]
    return [end(number + 1, str(total))]


def results_in(events: Sequence[wf.HistoryEvent]) -> dict[int, str]:
    """Return the results of an execution by their numbers; a timer's counts nothing."""
    results: dict[int, str] = {}
    for event in events:
        if event.HasField("taskCompleted"):
            results[event.taskCompleted.taskScheduledId] = event.taskCompleted.result.value
        elif event.HasField("childWorkflowInstanceCompleted"):
            done = event.childWorkflowInstanceCompleted
            results[done.taskScheduledId] = done.result.value
        elif event.HasField("timerFired"):
            results[event.timerFired.timerId] = "0"
    return results


def action_of(kind: str, number: int, name: str, now: int) -> wf.WorkflowAction:
    """Return the action of one step."""
    if kind == "timer":
        return timer(number, now + 30)
    if kind == "child":
        return child(number, f"{name}-child")
    return task(number)
