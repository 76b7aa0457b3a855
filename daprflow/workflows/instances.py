"""The workflows that a worker keeps alive between their turns, so that it need not replay them."""

from collections import OrderedDict
from typing import Any

from daprflow.errors import NonDeterminismError
from daprflow.protocol.history_codec import read_events
from daprflow.protocol.workflow_actions import Turn
from daprflow.workflows.plan import Workflows
from daprflow.workflows.replay import Mark, Replay, Rules

REMEMBERED = 1000
"""Instances that could not go on, of which the reason is kept."""
_NANOS = 1_000_000_000


class Instances:
    """Suspended workflows by instance id; those that had no turn for longest are given up first.

    Args:
        workflows: what can run.
        rules: how strictly code is watched.
        limit: how many are kept; 0 replays every turn from scratch.
    """

    def __init__(self, workflows: Workflows, rules: Rules, limit: int) -> None:
        self._workflows = workflows
        self._rules = rules
        self._limit = limit
        self._kept: OrderedDict[str, Replay] = OrderedDict()
        self._problems: OrderedDict[str, NonDeterminismError] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def take(self, request: Any) -> tuple[Replay, int] | None:
        """Return what a work item goes on with, and how many of its past events are known there.

        None where the item leaves out a part of the history that is not known here.
        """
        known = self._kept.pop(request.instanceId, None)
        left_out = request.cachedHistory.eventCount if request.HasField("cachedHistory") else 0
        if known is not None:
            if _goes_on(known, request.pastEvents, left_out):
                return known, known.seen - left_out
            known.close()
        if left_out:
            return None
        return self.new(request.instanceId), 0

    def kept(self, instance: str) -> Replay | None:
        """Return an instance that is kept between its turns."""
        return self._kept.get(instance)

    def new(self, instance: str) -> Replay:
        """Return a workflow that has seen nothing yet."""
        return Replay(self._workflows, instance, self._rules)

    def turn(self, replay: Replay, past: Any, new: Any) -> Turn:
        """Let a workflow go through a turn, and keep it if there will be another one."""
        instance = replay.execution.instance
        replay.newest = _marks(new)
        try:
            turn = replay.turn(read_events(past, whole=self._rules.inputs), read_events(new))
        except BaseException:
            replay.close()
            raise
        if replay.problem is not None:
            self._problems[instance] = replay.problem
            while len(self._problems) > REMEMBERED:
                self._problems.popitem(last=False)
        else:
            self._problems.pop(instance, None)
        if replay.is_over or not self._limit:
            replay.close()
            return turn
        if (other := self._kept.pop(instance, None)) is not None:
            other.close()  # the same turn came twice, when its first stream broke
        self._kept[instance] = replay
        while len(self._kept) > self._limit:
            self._kept.popitem(last=False)[1].close()
        return turn

    def problem(self, instance: str) -> NonDeterminismError | None:
        """Return why an instance could not go on here, the last time; None where it could."""
        return self._problems.get(instance)

    def close(self) -> None:
        """Give up all of them."""
        while self._kept:
            self._kept.popitem()[1].close()


def _goes_on(known: Replay, past: Any, left_out: int) -> bool:
    """Tell whether a history begins with what a workflow has seen.

    Its newest turn must stand where it saw it, with the same events at the same times: an answer
    may have been lost, or one to another turn have been taken, which may have begun at that time.
    """
    if not left_out <= known.seen <= left_out + len(past):
        return False
    at = known.seen - len(known.newest) - left_out
    return at < 0 or _marks(past[at : at + len(known.newest)]) == known.newest


def _marks(events: Any) -> tuple[Mark, ...]:
    """Return what tells the events of a turn from those of another one."""
    marks = []
    for event in events:
        kind, stamp = event.WhichOneof("eventType"), event.timestamp
        # A runtime notes the version that ran in the turn's beginning.
        whole = kind is not None and kind != "workflowStarted"
        content = getattr(event, kind).SerializeToString(deterministic=True) if whole else b""
        marks.append((kind, stamp.seconds * _NANOS + stamp.nanos, hash(content)))
    return tuple(marks)
