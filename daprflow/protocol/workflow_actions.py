"""What a workflow asks for at the end of a turn, and how far it is."""

from enum import IntEnum

import msgspec

from daprflow.protocol.history import EventRaised, Failure, TimerOrigin

__all__ = [
    "Action",
    "CompleteWorkflow",
    "CreateChild",
    "CreateTimer",
    "Instance",
    "ScheduleTask",
    "Turn",
    "VersionMissing",
    "WorkflowState",
]


class WorkflowState(IntEnum):
    """What a workflow instance does; the numbers are those of Dapr's messages.

    Example:
        ```python
        status = await client.workflow(checkout, "o7").status()
        if status.state is WorkflowState.COMPLETED:
            print(status.output)
        ```
    """

    RUNNING = 0
    COMPLETED = 1
    CONTINUED_AS_NEW = 2
    FAILED = 3
    CANCELED = 4
    TERMINATED = 5
    PENDING = 6
    SUSPENDED = 7
    STALLED = 8

    def __str__(self) -> str:
        return self.name

    def __format__(self, form: str) -> str:
        return format(self.name, form)


class _Action(msgspec.Struct):
    """What every action has; actions count from 1 over a whole execution."""

    id: int


class ScheduleTask(_Action):
    """Run an activity; ``execution`` is the same for every attempt of one call."""

    name: str
    input: str | None = None
    target: str = ""
    execution: str = ""


class CreateTimer(_Action):
    """Set a timer; ``fire_at`` is None for one that never fires."""

    fire_at: int | None
    origin: TimerOrigin


class CreateChild(_Action):
    """Start a child workflow."""

    name: str
    instance: str
    input: str | None = None
    target: str = ""


class CompleteWorkflow(_Action):
    """End the execution; ``carried`` are the unread events that the next one begins with."""

    status: WorkflowState
    result: str | None = None
    failure: Failure | None = None
    carried: tuple[EventRaised, ...] = ()


class VersionMissing(_Action):
    """Have the instance wait for a worker that can go on with it."""


Action = ScheduleTask | CreateTimer | CreateChild | CompleteWorkflow | VersionMissing


class Turn(msgspec.Struct, frozen=True):
    """What one turn of a workflow asks for.

    Attributes:
        app: the app that runs it, for the router of each action.
        custom_status: None leaves it empty.
        version: the name of the version that runs; empty where it has none.
    """

    actions: tuple[Action, ...] = ()
    app: str = ""
    custom_status: str | None = None
    version: str = ""
    patches: tuple[str, ...] = ()


class Instance(msgspec.Struct, frozen=True):
    """A workflow instance as the sidecar tells it; times are nanoseconds, 0 where there is none."""

    id: str
    name: str = ""
    version: str = ""
    status: WorkflowState = WorkflowState.PENDING
    input: str | None = None
    output: str | None = None
    custom_status: str | None = None
    failure: Failure | None = None
    start: int = 0
    created: int = 0
    updated: int = 0
    started: int = 0
    completed: int = 0
    parent: str = ""
