"""The events of a workflow's history, as both halves and stored histories have them.

Times are nanoseconds since 1970. ``id`` of an event is the number of the action it confirms;
``scheduled`` and ``timer`` name the action that an outcome belongs to.
"""

from collections.abc import Sequence

import msgspec

__all__ = [
    "ChildCompleted",
    "ChildCreated",
    "ChildFailed",
    "Event",
    "EventRaised",
    "ExecutionCompleted",
    "ExecutionResumed",
    "ExecutionStalled",
    "ExecutionStarted",
    "ExecutionSuspended",
    "ExecutionTerminated",
    "Failure",
    "HistoryEvent",
    "OtherEvent",
    "Parent",
    "TaskCompleted",
    "TaskFailed",
    "TaskScheduled",
    "TimerCreated",
    "TimerFired",
    "TimerOrigin",
    "Trace",
    "WorkflowStarted",
    "decode_history",
    "encode_history",
]


class Failure(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why an activity or a workflow failed.

    Attributes:
        type: the class of the exception, by name.
        final: whether no retry policy shall try again.
    """

    type: str
    message: str = ""
    stack: str = ""
    cause: "Failure | None" = None
    final: bool = False


class Parent(msgspec.Struct, frozen=True, omit_defaults=True):
    """The workflow that started a child."""

    instance: str
    name: str = ""
    app: str = ""
    scheduled: int = 0


class Trace(msgspec.Struct, frozen=True, omit_defaults=True):
    """A W3C trace context."""

    parent: str
    state: str = ""


class TimerOrigin(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a timer is for.

    Attributes:
        kind: ``timer``, ``event``, ``activity-retry``, ``child-retry``; empty where nobody said.
        of: the event's name, the activity's execution id or the child's instance id.
    """

    kind: str = ""
    of: str = ""


class Event(msgspec.Struct, tag_field="event", omit_defaults=True, gc=False):
    """What every event has. None refers to another one, so that nothing has to be collected."""

    at: int = 0


class WorkflowStarted(Event, tag="workflow-started"):
    """A turn began; its time is the workflow's ``now``.

    Attributes:
        version: the name of the version that runs.
        patches: the patches that were on when the turn was committed.
    """

    version: str = ""
    patches: tuple[str, ...] = ()


class ExecutionStarted(Event, tag="execution-started", kw_only=True):
    """An execution began.

    Attributes:
        app: the app that runs it.
        start: when it was to begin; 0 for at once.
    """

    name: str
    input: str | None = None
    instance: str = ""
    execution: str = ""
    version: str = ""
    app: str = ""
    parent: Parent | None = None
    start: int = 0
    trace: Trace | None = None


class ExecutionCompleted(Event, tag="execution-completed", kw_only=True):
    """An execution ended; ``status`` is a number of `WorkflowState`."""

    id: int = -1
    status: int = 0
    result: str | None = None
    failure: Failure | None = None


class ExecutionTerminated(Event, tag="execution-terminated", kw_only=True):
    """Somebody ended it."""

    output: str | None = None
    recurse: bool = False


class ExecutionSuspended(Event, tag="execution-suspended", kw_only=True):
    """Somebody suspended it."""

    reason: str = ""


class ExecutionResumed(Event, tag="execution-resumed", kw_only=True):
    """Somebody resumed it."""

    reason: str = ""


class ExecutionStalled(Event, tag="execution-stalled", kw_only=True):
    """No worker could go on with it."""

    reason: str = ""
    description: str = ""


class TaskScheduled(Event, tag="task-scheduled", kw_only=True):
    """An activity was scheduled; ``target`` is the app that runs it, empty for the own one."""

    id: int
    name: str
    input: str | None = None
    target: str = ""
    execution: str = ""
    rerun: bool = False


class TaskCompleted(Event, tag="task-completed", kw_only=True):
    """An activity returned."""

    scheduled: int
    result: str | None = None


class TaskFailed(Event, tag="task-failed", kw_only=True):
    """An activity raised."""

    scheduled: int
    failure: Failure


class ChildCreated(Event, tag="child-created", kw_only=True):
    """A child workflow was started."""

    id: int
    name: str
    instance: str = ""
    input: str | None = None
    target: str = ""
    rerun: bool = False


class ChildCompleted(Event, tag="child-completed", kw_only=True):
    """A child workflow returned."""

    scheduled: int
    result: str | None = None


class ChildFailed(Event, tag="child-failed", kw_only=True):
    """A child workflow failed; without a failure, it was terminated."""

    scheduled: int
    failure: Failure | None = None


class TimerCreated(Event, tag="timer-created", kw_only=True):
    """A timer was set; ``fire_at`` is None for one that never fires."""

    id: int
    fire_at: int | None = None
    name: str = ""
    origin: TimerOrigin = TimerOrigin()
    rerun: bool = False


class TimerFired(Event, tag="timer-fired", kw_only=True):
    """A timer fired."""

    timer: int
    fire_at: int | None = None


class EventRaised(Event, tag="event-raised", kw_only=True):
    """Somebody sent an event."""

    name: str
    input: str | None = None


class OtherEvent(Event, tag="other", kw_only=True):
    """An event that says nothing to a worker; ``kind`` is its name in Dapr's messages."""

    kind: str = ""


HistoryEvent = (
    WorkflowStarted
    | ExecutionStarted
    | ExecutionCompleted
    | ExecutionTerminated
    | ExecutionSuspended
    | ExecutionResumed
    | ExecutionStalled
    | TaskScheduled
    | TaskCompleted
    | TaskFailed
    | ChildCreated
    | ChildCompleted
    | ChildFailed
    | TimerCreated
    | TimerFired
    | EventRaised
    | OtherEvent
)


FORMAT = "daprflow-history"
VERSION = 1


class _Head(msgspec.Struct):
    """What tells a file of ours, before its events are looked at."""

    format: str = ""
    version: int = 0


class _File(msgspec.Struct):
    """The file; what a later version adds beside these is ignored."""

    format: str
    version: int
    events: tuple[HistoryEvent, ...]


def encode_history(events: Sequence[HistoryEvent]) -> bytes:
    """Return a history as the JSON of a file that tests keep.

    It is an object with ``format``, ``version`` and ``events``; an event is an object with the
    fields of its class here, those with a default left out, and ``event``, which names the class.
    """
    document = _File(FORMAT, VERSION, tuple(events))
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


def decode_history(document: bytes) -> tuple[HistoryEvent, ...]:
    """Read what ``encode_history`` wrote, here or in an earlier release.

    Raises:
        ValueError: it is no history, or of a later release.
    """
    try:
        head = msgspec.json.decode(document, type=_Head)
        if head.format == FORMAT and head.version <= VERSION:
            return msgspec.json.decode(document, type=_File).events
    except msgspec.DecodeError as error:
        raise ValueError(f"it holds no history: {error}") from None
    if head.format != FORMAT:
        raise ValueError(f"it holds no history: its 'format' is not '{FORMAT}'")
    raise ValueError(
        f"its version is {head.version}, and this release of daprflow reads up to {VERSION}"
    )
