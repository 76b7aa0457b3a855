"""Activities that a worker runs, each once, and their answers until the sidecar has them."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from daprflow.protocol import workflow_messages as pb
from daprflow.protocol.history import Failure
from daprflow.protocol.history_codec import write_failure
from daprflow.transports.grpc_work import TaskHub
from daprflow.workflows.activities import Activities
from daprflow.workflows.answering import Outcome, Reset, deliver, oversize

UNDELIVERED = 1000
"""Answers that are kept until somebody asks for them again."""

Key = tuple[str, int, str]
"""An instance, the number of a step, and the id that all its attempts have."""


@dataclass(slots=True)
class _Job:
    """One activity.

    Attributes:
        hub: who asked for it last.
        token: goes back with the answer.
        reset: ends the stream of who asked last, so that it asks again.
        asked: how often it was asked for.
        told: how often it had been when the answer was last sent.
        begun: whether it runs, or ran.
        response: what came of it; None until it has ended.
        task: what works for it now, runs it or answers; None while nothing does.
    """

    hub: TaskHub
    token: str
    reset: Reset
    asked: int = 1
    told: int = 0
    begun: bool = False
    response: Any = None
    task: asyncio.Task[None] | None = None

    async def send(self, response: Any) -> None:
        """Give the answer to who asked last.

        Raises:
            CallRefused: it was not taken.
        """
        self.told = self.asked
        response.completionToken = self.token
        await self.hub.complete_activity(response)

    def end(self) -> bool:
        """End the stream of who asked last, if it has not ended yet."""
        return self.reset()


class Performing:
    """Runs activities, so many at once; one that is asked for again meanwhile runs once.

    Args:
        activities: of the app.
        limit: how many run at once; the others wait.
        begin: makes a task that the worker looks after.
    """

    def __init__(
        self,
        activities: Activities,
        limit: int,
        begin: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
    ) -> None:
        self._activities = activities
        self._slots = asyncio.Semaphore(limit)
        self._begin = begin
        self._jobs: dict[Key, _Job] = {}
        self._undelivered: dict[Key, None] = {}

    def __len__(self) -> int:
        return len(self._jobs)

    def take(self, request: Any, token: str, hub: TaskHub, reset: Reset) -> None:
        """Begin with an activity; the answer of one that is known goes to who asked last."""
        # Some SDKs give no id; without one, only what is asked for as the same counts as the same.
        execution = request.taskExecutionId or token
        key = (request.workflowInstance.instanceId, request.taskId, execution)
        job = self._jobs.get(key)
        if job is None:
            job = self._jobs[key] = _Job(hub, token, reset)
            job.task = self._begin(self._perform(key, job, request))
            return
        job.hub, job.token, job.reset = hub, token, reset
        job.asked += 1
        if job.task is None:
            job.task = self._begin(self._answer(key, job))

    def give_back(self) -> None:
        """Leave what has not begun to others: the runtime has it run again."""
        for job in list(self._jobs.values()):
            if not job.begun and job.task is not None:
                job.task.cancel()

    async def _perform(self, key: Key, job: _Job, request: Any) -> None:
        try:
            async with self._slots:
                job.begun = True
                result = await self._activities.run(request)
        except BaseException:
            del self._jobs[key]
            raise
        response = pb.ActivityResponse(instanceId=key[0], taskId=key[1])
        if isinstance(result, Failure):
            response.failureDetails.CopyFrom(write_failure(result))
        elif result is not None:
            response.result.value = result
        job.response = response
        await self._answer(key, job)

    async def _answer(self, key: Key, job: _Job) -> None:
        """Give the answer to who asked last; keep it where it was not taken."""
        self._undelivered.pop(key, None)
        outcome = Outcome.TAKEN
        try:
            while job.told != job.asked:
                outcome = await self._delivered(job)
            if outcome is Outcome.TAKEN:
                del self._jobs[key]
        finally:
            job.task = None
            if key in self._jobs:
                self._keep(key)

    async def _delivered(self, job: _Job) -> Outcome:
        """Deliver an answer, or why it cannot be."""
        response = job.response
        outcome = await deliver(job.send, response, job.end)
        if outcome is Outcome.TOO_LARGE:
            what = f"the result of activity #{response.taskId}"
            failure = oversize(what, response.ByteSize())
            response.ClearField("result")
            response.failureDetails.CopyFrom(write_failure(failure))
            outcome = await deliver(job.send, response, job.end)
        return outcome

    def _keep(self, key: Key) -> None:
        self._undelivered[key] = None
        while len(self._undelivered) > UNDELIVERED:
            oldest = next(iter(self._undelivered))
            del self._undelivered[oldest], self._jobs[oldest]
