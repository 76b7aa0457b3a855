"""How much of one name is done at one time: turns of a workflow, runs of an activity."""

from collections import deque
from typing import TypeAlias

from daprflow.protocol.configuration_file import WorkflowConfiguration
from daprflow.sidecar.workflows.items import TaskItem, TurnItem

Item: TypeAlias = TurnItem | TaskItem
Name: TypeAlias = tuple[bool, str]
"""Whether it is a workflow, and what it is called."""


class NamedLimits:
    """Counts what is under way, and has what is too much of one name wait."""

    def __init__(self) -> None:
        self._running: dict[Name, int] = {}
        self._waiting: dict[Name, deque[Item]] = {}

    def enter(self, item: Item, settings: WorkflowConfiguration) -> bool:
        """Count an item that is to be done, or keep it until another of its name is done."""
        limits = settings.workflow_limits if item.is_turn else settings.activity_limits
        if not limits:
            return True
        name = (item.is_turn, _name_of(item))
        most = next((limit.most for limit in limits if limit.name == name[1]), 0)
        if not most:
            return True
        running = self._running.get(name, 0)
        if running >= most:
            self._waiting.setdefault(name, deque()).append(item)
            return False
        self._running[name] = running + 1
        return True

    def leave(self, item: Item) -> Item | None:
        """Note that nobody does an item any more; the one that may be done now is returned."""
        if not self._running:
            return None
        name = (item.is_turn, _name_of(item))
        running = self._running.pop(name, 0)
        if running > 1:
            self._running[name] = running - 1
        return self.after(item)

    def after(self, item: Item) -> Item | None:
        """Return what waits behind an item that nobody needs any more."""
        if not self._waiting:
            return None
        name = (item.is_turn, _name_of(item))
        waiting = self._waiting.get(name)
        while waiting:
            following = waiting.popleft()
            if not following.done:
                return following
        self._waiting.pop(name, None)
        return None


def _name_of(item: Item) -> str:
    if isinstance(item, TaskItem):
        return item.scheduled.taskScheduled.name
    start = item.instance.start
    return "" if start is None else start.name
