"""Doing what a worker is given: turns of workflows, and activities."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from daprflow.protocol import workflow_messages as pb
from daprflow.protocol.history import Failure
from daprflow.protocol.history_codec import write_failure, write_turn
from daprflow.protocol.workflow_actions import CompleteWorkflow, Turn, WorkflowState
from daprflow.transports.events import CallRefused
from daprflow.transports.grpc_work import TaskHub
from daprflow.workflows.activities import Activities
from daprflow.workflows.failures import failure_of
from daprflow.workflows.instances import Instances
from daprflow.workflows.options import WorkflowSettings
from daprflow.workflows.replay import Replay

logger = logging.getLogger(__name__)

LONG = 2000
"""Events from which on a replay has a thread of its own, so that nothing else waits for it."""
TOO_LARGE = 429
ATTEMPTS = 3
"""How often an answer is sent while the sidecar cannot be reached; then it asks again."""
UNDELIVERED = 1000

Key = tuple[str, int, str]


class Working:
    """What runs, and the answers that could not be given yet.

    Args:
        instances: the workflows.
        activities: the activities.
        settings: how much at once.
    """

    def __init__(
        self, instances: Instances, activities: Activities, settings: WorkflowSettings
    ) -> None:
        self._instances = instances
        self._activities = activities
        self._turns = asyncio.Semaphore(settings.max_workflows)
        self._slots = asyncio.Semaphore(settings.max_activities)
        self._tasks: set[asyncio.Task[None]] = set()
        self._running: dict[Key, tuple[TaskHub, str]] = {}
        self._undelivered: dict[Key, Any] = {}

    def take(self, item: Any, hub: TaskHub, reset: Callable[[], None], /) -> None:
        """Begin with an item.

        Args:
            item: a turn, an activity, or a sign of life.
            hub: takes the answer.
            reset: ends the stream, so that everything without an answer comes again, whole.
        """
        token = item.completionToken
        match item.WhichOneof("request"):
            case "workflowRequest":
                self._begin(self._turn(item.workflowRequest, token, hub, reset))
            case "activityRequest":
                self._take_activity(item.activityRequest, token, hub)

    async def drain(self, seconds: float, /) -> None:
        """Let what runs come to its end, and cancel what does not in time."""
        tasks = set(self._tasks)
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)
        late = [each for each in tasks if not each.done()]
        for each in late:
            each.cancel()
        if late:
            logger.warning(
                "%d activities or turns of workflows were cancelled at the end of %g s; the "
                "runtime has them run again",
                len(late),
                seconds,
            )
            await asyncio.wait(late)
        self._instances.close()

    # ---- workflows ------------------------------------------------------------------------------

    async def _turn(
        self, request: Any, token: str, hub: TaskHub, reset: Callable[[], None]
    ) -> None:
        async with self._turns:
            try:
                turn = await self._turned(request, hub)
            except CallRefused as refused:
                logger.warning(
                    "the history of workflow '%s' could not be read (%s); its turn is asked for "
                    "again",
                    request.instanceId,
                    refused,
                )
                reset()
                return
            response = write_turn(request.instanceId, turn, token)
            answered = await self._deliver(hub.complete_workflow, response)
            if answered == TOO_LARGE:
                failed = write_turn(request.instanceId, _too_large(turn), token)
                await self._deliver(hub.complete_workflow, failed)

    async def _turned(self, request: Any, hub: TaskHub) -> Turn:
        """Go through a turn.

        Raises:
            CallRefused: a history that was left out cannot be read.
        """
        found = self._instances.take(request)
        past = request.pastEvents
        if found is None:
            past = await hub.history(request.instanceId)
            found = self._instances.new(request.instanceId), 0
        replay, known = found
        if known:
            past = past[known:]
        if len(past) < LONG:
            turn = self._instances.turn(replay, past, request.newEvents)
        else:
            turn = await asyncio.to_thread(self._instances.turn, replay, past, request.newEvents)
        self._tell(replay)
        return turn

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

    # ---- activities -----------------------------------------------------------------------------

    def _take_activity(self, request: Any, token: str, hub: TaskHub) -> None:
        key = (request.workflowInstance.instanceId, request.taskId, request.taskExecutionId)
        known = self._undelivered.pop(key, None)
        if known is not None:
            known.completionToken = token
            self._begin(self._answer(key, known, hub))
            return
        running = key in self._running
        self._running[key] = (hub, token)
        if not running:  # else its answer goes where it was asked for last
            self._begin(self._activity(key, request))

    async def _activity(self, key: Key, request: Any) -> None:
        try:
            async with self._slots:
                result = await self._activities.run(request)
        except BaseException:
            del self._running[key]
            raise
        hub, token = self._running.pop(key)
        response = pb.ActivityResponse(instanceId=key[0], taskId=key[1], completionToken=token)
        if isinstance(result, Failure):
            response.failureDetails.CopyFrom(write_failure(result))
        elif result is not None:
            response.result.value = result
        await self._answer(key, response, hub)

    async def _answer(self, key: Key, response: Any, hub: TaskHub) -> None:
        status = await self._deliver(hub.complete_activity, response)
        if status == TOO_LARGE:
            failure = _oversize(f"the result of activity #{key[1]}", response.ByteSize())
            response.ClearField("result")
            response.failureDetails.CopyFrom(write_failure(failure))
            status = await self._deliver(hub.complete_activity, response)
        if status:
            self._undelivered[key] = response
            while len(self._undelivered) > UNDELIVERED:
                del self._undelivered[next(iter(self._undelivered))]

    # ---- both -----------------------------------------------------------------------------------

    async def _deliver(
        self, send: Callable[[Any], Coroutine[Any, Any, None]], response: Any
    ) -> int:
        """Send an answer; return 0, or the status with which it was not taken."""
        status = 0
        for attempt in range(ATTEMPTS):
            try:
                await send(response)
            except CallRefused as refused:
                status = refused.status
                if not refused.unavailable:
                    logger.debug("an answer for '%s': %s", response.instanceId, refused)
                    return status
                await asyncio.sleep(0.1 * 2**attempt)
            else:
                return 0
        return status

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("a worker of workflows failed", exc_info=error)


def _oversize(what: str, size: int) -> Failure:
    error = ValueError(
        f"{what} has {size} bytes, more than the sidecar takes (--max-body-size); keep what is "
        "large in a store, and pass its key"
    )
    return failure_of(error)


def _too_large(turn: Turn) -> Turn:
    """Return the end of a workflow whose answer is more than the sidecar takes."""
    size = sum(len(getattr(each, "input", None) or "") for each in turn.actions)
    failure = _oversize("what the workflow asks for in one turn", size)
    number = turn.actions[0].id if turn.actions else 1
    return Turn((CompleteWorkflow(number, WorkflowState.FAILED, None, failure),), turn.app)
