"""What was ever committed of workflows: every event once, in order, never changed."""

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from daprflow.protocol import workflow_messages as wf
from daprflow.sidecar.workflows.framing import unframe
from daprflow.sidecar.workflows.store import STEPS
from tests.simulation.model import NANOS, Wrong


@dataclass(slots=True)
class Execution:
    """One execution, as far as it is committed.

    Attributes:
        generation: how often the instance continued as new before.
        events: its history.
        last: what it was given in the turn that continued as new, which no history has.
        custom: the custom status.
    """

    app: str
    instance: str
    row: int
    generation: int
    events: list[wf.HistoryEvent] = field(default_factory=list)
    last: Sequence[wf.HistoryEvent] = ()
    custom: str | None = None
    is_over: bool = False

    @property
    def started(self) -> wf.ExecutionStartedEvent | None:
        """How it began."""
        for event in (*self.events, *self.last):
            if event.HasField("executionStarted"):
                return event.executionStarted
        return None


class Ledger:
    """Looks at a database after each commit.

    Args:
        given: returns the new events of the turn that an instance was given last.

    Attributes:
        executions: all there ever were, oldest first.
        waiting: how many events wait in inboxes, by instance.
    """

    def __init__(self, given: Callable[[str, str], Sequence[wf.HistoryEvent]]) -> None:
        self.executions: list[Execution] = []
        self.waiting: dict[str, int] = {}
        self._given = given
        self._current: dict[int, Execution] = {}
        self._steps: dict[int, bytes] = {}

    @property
    def living(self) -> list[Execution]:
        """The executions that are kept and not over."""
        return [each for each in self._current.values() if not each.is_over]

    def observe(self, connection: sqlite3.Connection, now: float) -> None:
        """Take in what a commit changed.

        Raises:
            Wrong: it changed what must not change, or wrote what is not true yet.
        """
        rows = connection.execute("SELECT id, app, instance, generation, custom FROM workflows")
        found = {row[0]: row for row in rows}
        for row_id in [each for each in self._current if each not in found]:
            gone = self._current.pop(row_id)
            if not gone.is_over:
                raise Wrong(f"'{gone.instance}' vanished before its end")
        renewed = {row_id for row_id, row in found.items() if self._note(*row)}
        history = dict(connection.execute("SELECT key, events FROM workflow_history ORDER BY key"))
        if history != self._steps:
            self._grow(history, renewed, now)

    def look_at_inboxes(self, connection: sqlite3.Connection) -> list[tuple[str, bytes]]:
        """Return what waits for instances, with their ids."""
        sql = (
            "SELECT instance, event FROM workflow_inbox, workflows WHERE workflow = workflows.id "
            "ORDER BY key"
        )
        return connection.execute(sql).fetchall()

    def _note(self, row: int, app: str, instance: str, generation: int, custom: str | None) -> bool:
        """Take in a row; tell whether it began its next execution."""
        current = self._current.get(row)
        renewed = current is not None and current.generation != generation
        if current is not None and renewed:
            if generation != current.generation + 1:
                raise Wrong(f"'{instance}' went from {current.generation} to {generation}")
            current.is_over, current.last = True, self._given(app, instance)
        if current is None or renewed:
            current = self._current[row] = Execution(app, instance, row, generation)
            self.executions.append(current)
        current.custom = custom
        return renewed

    def _grow(self, history: dict[int, bytes], renewed: set[int], now: float) -> None:
        for key, known in self._steps.items():
            row = key >> STEPS
            if key not in history:
                if row in self._current and row not in renewed:
                    raise Wrong(f"'{self._current[row].instance}' lost a step of its history")
            elif history[key] != known:
                raise Wrong(f"'{self._current[row].instance}': a step of its history changed")
        newest = {key >> STEPS: key for key in self._steps if key in history}
        for key, data in history.items():
            if key in self._steps:
                continue
            row = key >> STEPS
            if newest.get(row, 0) > key:
                raise Wrong(f"'{self._current[row].instance}': its history grew in the middle")
            self._append(self._current[row], unframe(data), now)
        self._steps = history

    def _append(
        self, execution: Execution, happened: Sequence[wf.HistoryEvent], now: float
    ) -> None:
        moment = round(now * 1_000_000) * 1000
        for event in happened:
            if _nanos(event.timestamp) > moment:
                raise Wrong(f"'{execution.instance}': this is written before its time: {event}")
            if event.HasField("timerFired") and _nanos(event.timerFired.fireAt) > moment:
                raise Wrong(f"'{execution.instance}': a timer fired early: {event}")
            if execution.is_over:
                raise Wrong(f"'{execution.instance}' goes on after its end: {event}")
            execution.is_over = event.HasField("executionCompleted")
        execution.events.extend(happened)


def _nanos(moment: wf.Timestamp) -> int:
    return moment.seconds * NANOS + moment.nanos
