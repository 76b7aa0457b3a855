"""What workers are given: turns of workflows, and activities."""

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING
from uuid import uuid4

from daprflow.protocol import workflow_messages as wf
from daprflow.sidecar.workflows.framing import varint
from daprflow.sidecar.workflows.watch import within

if TYPE_CHECKING:
    from daprflow.sidecar.telemetry.tracer import Span
    from daprflow.sidecar.workflows.host import WorkStream
    from daprflow.sidecar.workflows.instance import Instance

_TURN = b"\x0a"
"""The tag of ``workflowRequest`` in a work item."""


class Tokens:
    """Makes names for turns that no other process, and no earlier one, makes."""

    def __init__(self) -> None:
        self._prefix = uuid4().hex[:12]
        self._counter = itertools.count(1)

    def next(self) -> str:
        """Return the next one."""
        return f"{self._prefix}-{next(self._counter)}"


class TurnItem:
    """A turn of a workflow.

    What it is given is fixed when it first goes out: whoever answers, answers the same.

    Attributes:
        token: names it, so that an answer to another one is not taken for its own.
        order: when it was offered, compared with others.
        done: nobody needs to do it any more.
        stream: which stream has it; None while it waits.
        batch: the new events, the start of the turn first.
        taken: how many events of the inbox they are.
    """

    is_turn = True

    def __init__(self, instance: "Instance", token: str) -> None:
        self.instance = instance
        self.instance_id = instance.row.instance_id
        self.token = token
        self.order = 0
        self.done = False
        self.stream: WorkStream | None = None
        self.batch: Sequence[wf.HistoryEvent] = ()
        self.taken = 0

    def encode(self, stream: "WorkStream") -> bytes:
        """Return it, with as much of the history as the stream does not have.

        What one message cannot hold is left out, as if the worker had it; it asks for that then.
        """
        instance = self.instance
        known = stream.known(instance)
        request = wf.WorkflowRequest(instanceId=self.instance_id, newEvents=self.batch)
        if instance.row.received is not None:
            request.propagatedHistory.ParseFromString(instance.row.received)
        if stream.paged and not stream.holds(request.ByteSize() + instance.size_since(known)):
            known = instance.past
        if known:
            request.cachedHistory.eventCount = known
        data = request.SerializeToString() + instance.past_since(known)
        stream.learn(instance)
        head = wf.WorkItem(completionToken=self.token).SerializeToString()
        return b"".join((head, _TURN, varint(len(data)), data))


class TaskItem:
    """An activity.

    Its token is the same after a restart, so that an answer to what was sent before it counts.
    """

    is_turn = False

    def __init__(self, instance: "Instance", scheduled: wf.HistoryEvent, app_id: str) -> None:
        row = instance.row
        self.instance = instance
        self.scheduled = scheduled
        self.app_id = app_id
        self.instance_id = row.instance_id
        self.task_id = scheduled.eventId
        self.token = f"{row.id}-{row.generation}-{self.task_id}"
        self.order = 0
        self.done = False
        self.stream: WorkStream | None = None
        self.span: Span | None = None
        self.begun = 0.0

    def request(self) -> wf.ActivityRequest:
        """Return what the worker is asked to do."""
        task = self.scheduled.taskScheduled
        request = wf.ActivityRequest(
            name=task.name, taskId=self.task_id, taskExecutionId=task.taskExecutionId
        )
        request.workflowInstance.instanceId = self.instance_id
        if task.HasField("version"):
            request.version.CopyFrom(task.version)
        if task.HasField("input"):
            request.input.CopyFrom(task.input)
        if task.HasField("parentTraceContext"):
            request.parentTraceContext.CopyFrom(task.parentTraceContext)
        within(self, request)
        passed_on = self.instance.passed_on(self.scheduled)
        if passed_on is not None:
            request.propagatedHistory.ParseFromString(passed_on)
        return request

    def encode(self, _stream: "WorkStream") -> bytes:
        """Return it."""
        item = wf.WorkItem(activityRequest=self.request(), completionToken=self.token)
        return item.SerializeToString()
