"""Replaying a long history in this process: from its bytes to what the workflow asks for next."""

import gc
import time
from functools import cache
from typing import Any

from daprflow import Activity, DaprFlow, WorkflowContext
from daprflow.workflows.replay import Rules

step = Activity("", "step", int, int)
app = DaprFlow("bench")
INSTANCE = "bench"
EXECUTION = "7f2e27c8-7d26-5899-980c-06895104ef1d"


@app.workflow
async def chain(ctx: WorkflowContext, count: int) -> int:
    """Call one activity after the other."""
    number = 0
    for _ in range(count):
        number = await ctx.call(step, number)
    return number


@cache
def _request(count: int) -> bytes:
    """Return a turn with the whole history of a chain, as it comes from a sidecar."""
    from daprflow.protocol import workflow_messages as wf  # noqa: PLC0415 - needs protobuf

    past: list[Any] = []

    def add(number: int = -1) -> Any:
        event = wf.HistoryEvent(eventId=number)
        event.timestamp.FromNanoseconds(1_700_000_000_000_000_000 + len(past))
        past.append(event)
        return event

    add().workflowStarted.SetInParent()
    start = add()
    start.router.sourceAppID = INSTANCE
    start.executionStarted.name = "chain"
    start.executionStarted.input.value = str(count + 1)
    start.executionStarted.workflowInstance.instanceId = INSTANCE
    start.executionStarted.workflowInstance.executionId.value = EXECUTION
    for number in range(1, count + 1):
        scheduled = add(number)
        scheduled.router.sourceAppID = INSTANCE
        scheduled.taskScheduled.name = "step"
        scheduled.taskScheduled.input.value = str(number - 1)
        scheduled.taskScheduled.taskExecutionId = EXECUTION
        add().workflowStarted.SetInParent()
        done = add()
        done.router.sourceAppID = INSTANCE
        done.taskCompleted.taskScheduledId = number
        done.taskCompleted.taskExecutionId = EXECUTION
        done.taskCompleted.result.value = str(number)
    request = wf.WorkflowRequest(instanceId=INSTANCE, pastEvents=past[:-2], newEvents=past[-2:])
    return request.SerializeToString()


def replay_seconds(count: int) -> float:
    """Go through a history of ``count`` steps, from bytes to what is asked for then.

    It is what a worker does with a turn that comes whole, but for gRPC itself.
    """
    from daprflow.protocol import workflow_messages as wf  # noqa: PLC0415 - needs protobuf
    from daprflow.workflows.instances import Instances  # noqa: PLC0415 - likewise

    data = _request(count)
    app.freeze()
    instances = Instances(app.work().workflows, Rules(), 0)
    gc.collect()
    began = time.perf_counter()
    request = wf.WorkflowRequest.FromString(data)
    found = instances.take(request)
    if found is None:
        raise AssertionError("the history is whole")
    turn = instances.turn(found[0], request.pastEvents, request.newEvents)
    seconds = time.perf_counter() - began
    if [each.id for each in turn.actions] != [count + 1]:
        raise AssertionError(f"the replay came to something else: {turn.actions}")
    return seconds
