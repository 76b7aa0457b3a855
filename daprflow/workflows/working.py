"""Doing what a worker is given: turns of workflows, and activities."""

import asyncio
import logging
from collections.abc import Coroutine, Sequence
from typing import Any

from daprflow.protocol.history import Failure
from daprflow.protocol.history_codec import write_turn
from daprflow.protocol.workflow_actions import CompleteWorkflow, Turn, WorkflowState
from daprflow.transports.events import CallRefused
from daprflow.transports.grpc_work import TaskHub
from daprflow.workflows.activities import Activities
from daprflow.workflows.answering import Outcome, Reset, deliver, oversize
from daprflow.workflows.failures import failure_of
from daprflow.workflows.instances import Instances
from daprflow.workflows.options import WorkflowSettings
from daprflow.workflows.performing import Performing
from daprflow.workflows.replay import Replay
from daprflow.workflows.turns import TurnNext, TurnWatcher, WorkflowTurn, turn_of

logger = logging.getLogger(__name__)

LONG = 2000
"""Events from which on a replay has a thread of its own, so that nothing else waits for it."""


class Working:
    """What a worker does now.

    Args:
        instances: the workflows.
        activities: the activities.
        settings: how much at once.
        watchers: told of each turn.
    """

    def __init__(
        self,
        instances: Instances,
        activities: Activities,
        settings: WorkflowSettings,
        watchers: Sequence[TurnWatcher] = (),
    ) -> None:
        self._instances = instances
        self._watchers = watchers
        self._turns = asyncio.Semaphore(settings.max_workflows)
        self._tasks: set[asyncio.Task[None]] = set()
        self._performing = Performing(activities, settings.max_activities, self._begin)

    def take(self, item: Any, hub: TaskHub, reset: Reset, /) -> None:
        """Begin with an item.

        Args:
            item: a turn, an activity, or a sign of life.
            hub: takes the answer.
            reset: ends the stream, so that everything without an answer comes again, whole.
        """
        token = item.completionToken
        match item.WhichOneof("request"):
            case "workflowRequest":
                _ = self._begin(self._turn(item.workflowRequest, token, hub, reset))
            case "activityRequest":
                self._performing.take(item.activityRequest, token, hub, reset)

    async def drain(self, seconds: float, /) -> None:
        """Let what runs come to its end, and cancel what does not in time."""
        self._performing.give_back()
        tasks = set(self._tasks)
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)
        late = [each for each in tasks if not each.done()]
        for each in late:
            each.cancel()
        if late:
            logger.warning(
                "activities and turns of workflows still ran after %g s and were cancelled: %d; "
                "the runtime has them run again",
                seconds,
                len(late),
            )
            await asyncio.wait(late)
        self._instances.close()

    # ---- workflows ------------------------------------------------------------------------------

    async def _turn(self, request: Any, token: str, hub: TaskHub, reset: Reset) -> None:
        async with self._turns:
            try:
                turn = await self._watched(request, hub)
            except CallRefused as refused:
                logger.warning(
                    "the history of workflow '%s' could not be read (%s); its turn is asked for "
                    "again",
                    request.instanceId,
                    refused,
                )
                reset()
                return
            response = _written(request.instanceId, turn, token)
            outcome = await deliver(hub.complete_workflow, response, reset)
            if outcome is Outcome.TOO_LARGE:
                failed = write_turn(request.instanceId, _too_large(turn), token)
                await deliver(hub.complete_workflow, failed, reset)

    async def _watched(self, request: Any, hub: TaskHub) -> Turn:
        """Go through a turn with every watcher around it, the first one outermost.

        Raises:
            CallRefused: a history that was left out cannot be read.
        """
        if not self._watchers:
            return await self._turned(request, hub)

        async def innermost(_: WorkflowTurn) -> Turn:
            return await self._turned(request, hub)

        call: TurnNext = innermost
        for watcher in reversed(self._watchers):
            call = watcher.turn(call)
        return await call(turn_of(request, self._instances.kept(request.instanceId)))

    async def _turned(self, request: Any, hub: TaskHub) -> Turn:
        """Go through a turn.

        Raises:
            CallRefused: a history that was left out cannot be read.
        """
        found = self._instances.take(request)
        if found is None:
            return await self._anew(request, hub)
        replay, known = found
        kept = replay.seen > 0
        past = request.pastEvents[known:] if known else request.pastEvents
        turn = await self._go(replay, past, request)
        if kept and replay.problem is not None:
            # Another worker's answer may have counted for a turn that was done here as well, with
            # other code: what was kept is no measure then.
            return await self._anew(request, hub)
        self._tell(replay)
        return turn

    async def _anew(self, request: Any, hub: TaskHub) -> Turn:
        """Go through a turn with the whole history.

        Raises:
            CallRefused: the part that was left out cannot be read.
        """
        past = request.pastEvents
        if request.cachedHistory.eventCount:
            past = await hub.history(request.instanceId)
        replay = self._instances.new(request.instanceId)
        turn = await self._go(replay, past, request)
        self._tell(replay)
        return turn

    async def _go(self, replay: Replay, past: Any, request: Any) -> Turn:
        if len(past) < LONG:
            return self._instances.turn(replay, past, request.newEvents)
        return await asyncio.to_thread(self._instances.turn, replay, past, request.newEvents)

    def _tell(self, replay: Replay) -> None:
        """Log what the user has to know of a turn."""
        execution = replay.execution
        if replay.problem is not None:
            logger.error("%s; the instance waits for code that fits", replay.problem)
        elif execution.ended is not None and execution.ended.failure is not None:
            failure = execution.ended.failure
            logger.warning(
                "workflow instance '%s' failed: %s: %s",
                execution.instance,
                failure.type,
                failure.message,
            )

    # ---- both -----------------------------------------------------------------------------------

    def _begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("a worker of workflows failed", exc_info=error)


def _written(instance: str, turn: Turn, token: str) -> Any:
    """Return an answer as a message; a workflow fails that asks for what none can hold."""
    try:
        return write_turn(instance, turn, token)
    except ValueError as error:
        return write_turn(instance, _failed(turn, failure_of(error)), token)


def _too_large(turn: Turn) -> Turn:
    """Return the end of a workflow whose answer is more than the sidecar takes."""
    size = sum(len(getattr(each, "input", None) or "") for each in turn.actions)
    return _failed(turn, oversize("what the workflow asks for in one turn", size))


def _failed(turn: Turn, failure: Failure) -> Turn:
    """Return a turn that ends its workflow, in the place of another one."""
    number = turn.actions[0].id if turn.actions else 1
    return Turn((CompleteWorkflow(number, WorkflowState.FAILED, None, failure),), turn.app)
