"""A workflow's history as a timeline: one line for each event, and what is still open."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, ClassVar

from daprflow.cli.voice import printable
from daprflow.cli.workflow_show import MINUTE, SECOND, failure_line, length
from daprflow.protocol import history
from daprflow.protocol.history import HistoryEvent
from daprflow.protocol.workflow_actions import WorkflowState

DAY = 86_400 * SECOND
INDENT = "  "
RETRIES = frozenset({"activity-retry", "child-retry"})
SHORTEST = 16
"""Characters that are left of a value, however narrow the terminal."""


@dataclass(frozen=True, slots=True)
class Line:
    """One event.

    Attributes:
        at: when, in nanoseconds.
        what: a word for what happened.
        name: of what it happened to.
        value: an input or a result as JSON, or a reason.
        step: the number of the step; 0 where it has none.
        level: how far it is indented.
        child: the instance that began there; empty where none did.
    """

    at: int
    what: str
    name: str = ""
    value: str = ""
    step: int = 0
    level: int = 0
    child: str = ""


@dataclass(frozen=True, slots=True)
class _Step:
    """A step that was begun."""

    line: Line
    event: history.TaskScheduled | history.ChildCreated | history.TimerCreated


class Timeline:
    """Reads a history from its beginning.

    Attributes:
        lines: one for each event that says something.
    """

    def __init__(self, events: Iterable[HistoryEvent]) -> None:
        self.lines: list[Line] = []
        self._open: dict[int, _Step] = {}
        self._attempts: dict[str, int] = {}
        self._patches: tuple[str, ...] = ()
        self._suspended = False
        self._stuck = ""
        self._app = ""
        self._now = 0
        for event in events:
            line = self._READERS[type(event)](self, event)
            if line is not None:
                self.lines.append(line)

    @property
    def open_steps(self) -> tuple[str, ...]:
        """What was begun and has no outcome."""
        held: tuple[str, ...] = ("somebody who resumes it",) if self._suspended else ()
        if self._stuck:
            fits = f"a worker that can go on with it: {self._stuck}"
            held += (f"{fits}; the app's log says more",)
        return held + tuple(self._waiting(each) for each in self._open.values())

    def _begin(self, line: Line, event: Any) -> Line:
        self._open[event.id] = _Step(line, event)
        return line

    def _end(self, number: int, event: Any, what: str, value: str) -> Line:
        """Return the line of a step's outcome, beside the step itself."""
        begun = self._open.pop(number, None)
        if begun is None:
            return Line(event.at, what, "", value, number)
        took = length(max(event.at - begun.line.at, 0) / SECOND)
        name = f"{begun.line.name.partition(', attempt')[0]} after {took}"
        return Line(event.at, what, name, value, number, begun.line.level)

    # ---- the execution --------------------------------------------------------------------------

    def _turn(self, event: history.WorkflowStarted) -> Line | None:
        """Say nothing of a turn, unless it brought a patch."""
        self._now = event.at
        self._stuck = ""
        fresh = [each for each in event.patches if each not in self._patches]
        self._patches = event.patches or self._patches
        return Line(event.at, "patched", ", ".join(fresh)) if fresh else None

    def _started(self, event: history.ExecutionStarted) -> Line:
        self._app = event.app
        parent = f" by '{event.parent.instance}'" if event.parent is not None else ""
        return Line(event.at, "started", event.name + parent, event.input or "")

    def _completed(self, event: history.ExecutionCompleted) -> Line:
        what = WorkflowState(event.status).name.lower()
        failed = failure_line(event.failure) if event.failure is not None else ""
        return Line(event.at, what, "", failed or _arrow(event.result))

    def _terminated(self, event: history.ExecutionTerminated) -> Line:
        children = "with its children" if event.recurse else ""
        return Line(event.at, "told to end", children, event.output or "")

    def _suspend(self, event: history.ExecutionSuspended) -> Line:
        self._suspended = True
        return Line(event.at, "suspended", "", event.reason)

    def _resume(self, event: history.ExecutionResumed) -> Line:
        self._suspended = False
        return Line(event.at, "resumed", "", event.reason)

    def _stalled(self, event: history.ExecutionStalled) -> Line:
        self._stuck = f"{event.reason}: {event.description}".removesuffix(": ")
        return Line(event.at, "stalled", event.reason, event.description)

    def _other(self, event: history.OtherEvent) -> Line:
        return Line(event.at, event.kind)

    # ---- steps ----------------------------------------------------------------------------------

    def _task(self, event: history.TaskScheduled) -> Line:
        attempt = self._attempts.get(event.execution, 0) + 1 if event.execution else 1
        self._attempts[event.execution] = attempt
        again = f", attempt {attempt}" if attempt > 1 else ""
        name = f"{event.name}{self._elsewhere(event.target)}{again}"
        line = Line(event.at, "activity", name, event.input or "", event.id, int(attempt > 1))
        return self._begin(line, event)

    def _child(self, event: history.ChildCreated) -> Line:
        name = f"{event.name}{self._elsewhere(event.target)} '{event.instance}'"
        line = Line(event.at, "workflow", name, event.input or "", event.id, child=event.instance)
        return self._begin(line, event)

    def _timer(self, event: history.TimerCreated) -> Line:
        origin = event.origin
        delay = "" if event.fire_at is None else length(max(event.fire_at - self._now, 0) / SECOND)
        if origin.kind == "event":
            limit = f" for {delay} at most" if delay else ""
            return self._begin(Line(event.at, "waits", f"{origin.of}{limit}", "", event.id), event)
        if origin.kind in RETRIES:
            line = Line(event.at, "pauses", f"{delay}, then it is tried again", "", event.id, 1)
            return self._begin(line, event)
        return self._begin(Line(event.at, "sleeps", delay, event.name, event.id), event)

    def _returned(self, event: history.TaskCompleted | history.ChildCompleted) -> Line:
        return self._end(event.scheduled, event, "returned", _arrow(event.result))

    def _failed(self, event: history.TaskFailed | history.ChildFailed) -> Line:
        why = "it was terminated" if event.failure is None else failure_line(event.failure)
        return self._end(event.scheduled, event, "failed", why)

    def _fired(self, event: history.TimerFired) -> Line:
        begun = self._open.pop(event.timer, None)
        if begun is None:
            return Line(event.at, "goes on", "", "", event.timer)
        if awaited := _awaited(begun):
            return Line(event.at, "timed out", awaited, "", event.timer)
        return Line(event.at, "goes on", "", "", event.timer, begun.line.level)

    def _raised(self, event: history.EventRaised) -> Line:
        for number, each in self._open.items():
            if _awaited(each).casefold() == event.name.casefold():
                del self._open[number]
                return Line(event.at, "event", event.name, event.input or "", number)
        return Line(event.at, "event", event.name, event.input or "")

    def _waiting(self, step: _Step) -> str:
        event = step.event
        since = f" (step {event.id})"
        if isinstance(event, history.TaskScheduled):
            return f"activity '{event.name}'{self._elsewhere(event.target)}{since}"
        if isinstance(event, history.ChildCreated):
            whose = self._elsewhere(event.target)
            return f"workflow '{event.name}'{whose}, instance '{event.instance}'{since}"
        until = "" if event.fire_at is None else f" until {_clock(event.fire_at, days=True)}"
        if event.origin.kind == "event":
            return f"event '{event.origin.of}'{until}{since}"
        return f"a timer{until}{since}"

    def _elsewhere(self, app_id: str) -> str:
        return f" of '{app_id}'" if app_id and app_id != self._app else ""

    _READERS: ClassVar[Mapping[type, Callable[["Timeline", Any], Line | None]]] = {
        history.WorkflowStarted: _turn,
        history.ExecutionStarted: _started,
        history.ExecutionCompleted: _completed,
        history.ExecutionTerminated: _terminated,
        history.ExecutionSuspended: _suspend,
        history.ExecutionResumed: _resume,
        history.ExecutionStalled: _stalled,
        history.TaskScheduled: _task,
        history.TaskCompleted: _returned,
        history.TaskFailed: _failed,
        history.ChildCreated: _child,
        history.ChildCompleted: _returned,
        history.ChildFailed: _failed,
        history.TimerCreated: _timer,
        history.TimerFired: _fired,
        history.EventRaised: _raised,
        history.OtherEvent: _other,
    }


def nested(lines: Iterable[Line], below: Mapping[str, Sequence[Line]]) -> list[Line]:
    """Put the lines of child workflows below the lines with which they begin, one level deeper."""
    found: list[Line] = []
    for line in lines:
        found.append(line)
        found += [replace(each, level=each.level + 1) for each in below.get(line.child, ())]
    return found


def rendered(lines: Sequence[Line], width: int | None) -> list[str]:
    """Return lines as text.

    Args:
        lines: the events.
        width: how long a line may be; values are shortened to fit. None shortens nothing.
    """
    if not lines:
        return []
    first = min(line.at for line in lines)
    days = max(line.at for line in lines) - first >= DAY
    what = max(len(line.what) for line in lines)
    step = max(len(str(line.step)) for line in lines) + 1
    offset = max(len(_offset(line.at - first)) for line in lines)
    found = []
    for line in lines:
        number = f"#{line.step}" if line.step else ""
        head = f"{_clock(line.at, days=days)}  {_offset(line.at - first):>{offset}}"
        head += f"  {number:>{step}} {INDENT * line.level}{line.what:<{what}}"
        text = printable(f"{head} {line.name}".rstrip()).replace("\n", " ")
        value = " ".join(printable(line.value).split())
        if value:
            room = None if width is None else max(width - len(text) - len(INDENT), SHORTEST)
            text += INDENT + _shortened(value, room)
        found.append(text)
    return found


def _awaited(step: _Step) -> str:
    """Return the event that a step waits for; empty for any other step."""
    event = step.event
    if isinstance(event, history.TimerCreated) and event.origin.kind == "event":
        return event.origin.of
    return ""


def _arrow(result: str | None) -> str:
    return f"-> {result}" if result else ""


def _shortened(text: str, room: int | None) -> str:
    return text if room is None or len(text) <= room else f"{text[: room - 3]}..."


def _offset(nanoseconds: int) -> str:
    seconds = nanoseconds / SECOND
    return f"+{seconds:.3f}" if seconds < MINUTE else f"+{length(seconds)}"


def _clock(at: int, *, days: bool) -> str:
    moment = datetime.fromtimestamp(at // 1000 / 1_000_000, UTC).astimezone()
    text = moment.isoformat(" ", timespec="milliseconds")[: len("2027-01-31 08:00:00.000")]
    return text if days else text.partition(" ")[2]
