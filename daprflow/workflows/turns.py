"""A turn of a workflow as it is told to who watches: whose it is, and where in its history."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

# Observability loads this with every app, workflows or none.
if TYPE_CHECKING:
    from daprflow.protocol.history import Trace
    from daprflow.protocol.workflow_actions import Turn
    from daprflow.workflows.replay import Replay


@dataclass(frozen=True, slots=True)
class WorkflowTurn:
    """One turn of a workflow that a worker was given; a replay inside it is no turn.

    Attributes:
        instance: the id of the instance.
        name: of the workflow; empty where the history does not say it.
        execution: the id of the execution; empty where it has none.
        trace: the context that the workflow was started in; None where there was none.
        number: how many events came before; 0 in the first turn.
        events: how many events are new.

    Example:
        ```python
        from daprflow.observability import TurnNext, Watcher, WorkflowTurn

        class Counted(Watcher):
            def turn(self, call: TurnNext) -> TurnNext:
                def counted(turn: WorkflowTurn) -> Any:
                    print(turn.instance, turn.number)
                    return call(turn)

                return counted
        ```
    """

    instance: str
    name: str = ""
    execution: str = ""
    trace: "Trace | None" = None
    number: int = 0
    events: int = 0


TurnNext = Callable[[WorkflowTurn], Awaitable["Turn"]]
"""Goes through a turn and returns what the workflow asks for; its end is an action of those."""


class TurnWatcher(Protocol):
    """Watches turns."""

    def turn(self, call: TurnNext, /) -> TurnNext:
        """Return what goes through turns in the place of ``call``."""
        ...


def turn_of(request: Any, kept: "Replay | None") -> WorkflowTurn:
    """Return a work item as watchers are told of it.

    Args:
        request: the item.
        kept: the workflow as it was after its last turn here; None where it is not known.
    """
    number = len(request.pastEvents)
    if request.HasField("cachedHistory"):
        number += request.cachedHistory.eventCount
    instance, events = request.instanceId, len(request.newEvents)
    started = _started(request)
    if started is None:
        if kept is None:
            return WorkflowTurn(instance, number=number, events=events)
        begun = kept.execution
        return WorkflowTurn(instance, begun.name, begun.id, begun.trace, number, events)
    trace = None
    if started.HasField("parentTraceContext"):
        from daprflow.protocol.history import Trace  # noqa: PLC0415 - see above

        told = started.parentTraceContext
        trace = Trace(told.traceParent, told.traceState.value)
    execution = started.workflowInstance.executionId.value
    return WorkflowTurn(instance, started.name, execution, trace, number, events)


def _started(request: Any) -> Any:
    """Return the event that began the execution; it is the second one, as a rule."""
    for events in (request.pastEvents, request.newEvents):
        for event in events[:3]:
            if event.HasField("executionStarted"):
                return event.executionStarted
    return None
