"""Other teams' activities and workflows, answered by a test's own functions."""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from daprflow.addresses import Activity, Workflow
from daprflow.handlers.codecs import Codecs
from daprflow.handlers.handler import Delivery, Next, Outcome
from daprflow.protocol.history import Failure
from daprflow.protocol.workflow_actions import CompleteWorkflow, Turn, WorkflowState
from daprflow.testing.faults import Faults
from daprflow.testing.faulty import faulty_activities
from daprflow.workflows.activities import Activities
from daprflow.workflows.failures import failure_of
from daprflow.workflows.values import Values

if TYPE_CHECKING:
    from daprflow.sidecar.engine import Engine
    from daprflow.sidecar.workflows.hub import WorkflowHub

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Fake:
    """One activity, or one workflow."""

    call: Next


class FakeWorker:
    """The worker of an app that is not there."""

    def __init__(self, app_id: str, codecs: Codecs, faults: Faults) -> None:
        self._app_id = app_id
        self._faults = faults
        self._values = Values(codecs)
        self._activities: dict[str, _Fake] = {}
        self._workflows: dict[str, _Fake] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def answer(
        self,
        handle: Activity[Any, Any] | Workflow[Any, Any],
        function: Callable[..., Awaitable[Any]],
    ) -> None:
        """Answer ``handle`` with what ``function`` returns; a later one replaces it."""
        is_workflow = isinstance(handle, Workflow)
        who = f"the fake of {'workflow' if is_workflow else 'activity'} '{handle.name}'"
        takes: Any = handle.takes
        decode = None if takes is type(None) else self._values.decoder(takes, f"the input of {who}")

        async def call(delivery: Delivery) -> Outcome:
            try:
                given = () if decode is None else (decode(delivery.body.decode() or None),)
                text = self._values.encode(await function(*given), f"the result of {who}")
            except Exception as error:  # noqa: BLE001 - whatever a fake raises is its failure
                return Outcome(http_status=500, error=error)
            return Outcome(body=b"" if text is None else text.encode())

        fakes = self._workflows if is_workflow else self._activities
        fakes[handle.name] = _Fake(call)

    def start(self, engine: "Engine") -> None:
        """Begin to work."""
        self._begin(self._run(engine))

    async def stop(self) -> None:
        """Take nothing more."""
        tasks = list(self._tasks)
        for each in tasks:
            each.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _run(self, engine: "Engine") -> None:
        os.environ.setdefault("GRPC_VERBOSITY", "ERROR")  # before it is loaded
        hub = await engine.workflows()
        from daprflow.protocol import workflow_messages as pb  # noqa: PLC0415 - loaded by now
        from daprflow.sidecar.workflows.host import WorkStream  # noqa: PLC0415 - likewise

        host = hub.host(self._app_id)
        stream = WorkStream(stateful=False, limit=-1)
        host.attach(stream)
        try:
            while True:
                item = pb.WorkItem.FromString(await host.next(stream))
                if item.HasField("activityRequest"):
                    self._begin(self._work(hub, item.activityRequest, item.completionToken))
                elif item.HasField("workflowRequest"):
                    self._begin(self._turn(hub, item.workflowRequest, item.completionToken))
        finally:
            host.detach(stream)

    async def _work(self, hub: "WorkflowHub", request: Any, token: str) -> None:
        from daprflow.protocol import workflow_messages as pb  # noqa: PLC0415 - loaded by now
        from daprflow.protocol.history_codec import write_failure  # noqa: PLC0415 - likewise

        met = faulty_activities(self._app_id, self._activities, self._faults)
        result = await Activities(met).run(request)
        response = pb.ActivityResponse(
            instanceId=request.workflowInstance.instanceId,
            taskId=request.taskId,
            completionToken=token,
        )
        if isinstance(result, Failure):
            response.failureDetails.CopyFrom(write_failure(result))
        elif result is not None:
            response.result.value = result
        await hub.steps.complete_task(self._app_id, response)

    async def _turn(self, hub: "WorkflowHub", request: Any, token: str) -> None:
        """Answer a workflow's first turn with its end."""
        from daprflow.protocol.history_codec import write_turn  # noqa: PLC0415 - loaded by now

        events = (*request.pastEvents, *request.newEvents)
        started = next(
            each.executionStarted for each in events if each.HasField("executionStarted")
        )
        result = await _result(self._workflows, started)
        if isinstance(result, Failure):
            end = CompleteWorkflow(1, WorkflowState.FAILED, failure=result)
        else:
            end = CompleteWorkflow(1, WorkflowState.COMPLETED, result)
        response = write_turn(request.instanceId, Turn((end,), self._app_id), token)
        await hub.steps.complete_turn(self._app_id, response)

    def _begin(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("the fakes of app '%s' failed", self._app_id, exc_info=error)


async def _result(fakes: Mapping[str, _Fake], started: Any) -> str | Failure | None:
    """Return what the fake of a workflow gives for its input."""
    fake = fakes.get(started.name)
    if fake is None:
        known = ", ".join(f"'{each}'" for each in fakes) or "none"
        text = f"no workflow is named '{started.name}' in this test; there are fakes of {known}"
        return Failure("WorkflowNotRegistered", text, final=True)
    body = started.input.value.encode() if started.HasField("input") else b""
    outcome = await fake.call(Delivery("workflow", started.name, body))
    if outcome.error is not None:
        return failure_of(outcome.error)
    return outcome.body.decode() or None
