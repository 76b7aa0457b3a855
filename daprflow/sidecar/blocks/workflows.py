"""The workflows of one app: what Dapr's own API does with them, and the way to their engine."""

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import uuid4

from daprflow.protocol import faults, workflow_faults
from daprflow.protocol.fault import Fault
from daprflow.protocol.grpc_codes import Code
from daprflow.protocol.workflows import LONGEST_ID, START_TIME, WorkflowStatus
from daprflow.sidecar.blocks.pubsub_publish import NO_CONTEXT, Trace
from daprflow.sidecar.clock import sleep_until
from daprflow.sidecar.components.base import ComponentError
from daprflow.sidecar.workflows.problems import NoInstance, StoreProblem, WorkflowProblem

if TYPE_CHECKING:
    from daprflow.protocol import workflow_messages as wf
    from daprflow.sidecar.runtime import Runtime
    from daprflow.sidecar.workflows.host import Host
    from daprflow.sidecar.workflows.hub import WorkflowHub
    from daprflow.sidecar.workflows.management import Workflows

_INVALID_TEXT = "string field contains invalid UTF-8"
_NOT_TEXT = (
    f"failed to start workflow: failed to marshal CreateWorkflowInstanceRequest: {_INVALID_TEXT}"
)
logger = logging.getLogger(__name__)

PAUSES = (1.0, 1.0, 1.0)
"""Seconds between the attempts to start an instance, as in the real runtime."""


class WorkflowsBlock:
    """Workflows as HTTP and the ``Dapr`` service offer them.

    The engine and its messages are loaded with the first call that needs them.

    Args:
        runtime: the app's sidecar.
    """

    def __init__(self, runtime: "Runtime") -> None:
        self._runtime = runtime
        self._host: Host | None = None
        self._joined: WorkflowHub | None = None

    @property
    def connected_workers(self) -> int:
        """How many workers there are."""
        return 0 if self._host is None else self._host.count(self._runtime.replica)

    async def served(self) -> None:
        """Wait until a worker takes what there is to do; only then does that count as work.

        Raises:
            WorkflowProblem: what they are kept in cannot be used.
        """
        await (await self.api()).host.appears()

    async def api(self, app_id: str = "") -> "Workflows":
        """Return the workflows of this app, or of another one of the run.

        Raises:
            WorkflowProblem: what they are kept in cannot be used.
        """
        try:
            hub = await self._hub()
        except ComponentError as error:
            raise StoreProblem(str(error)) from error
        return hub.of_app(app_id or self._runtime.app_id, self._runtime.options.namespace)

    async def complete_turn(self, response: "wf.WorkflowResponse") -> None:
        """Take what a worker answered to a turn of a workflow.

        Raises:
            ComponentError: it could not be kept.
        """
        hub = await self._hub()
        await hub.steps.complete_turn(self._runtime.app_id, response)

    async def complete_task(self, response: "wf.ActivityResponse") -> None:
        """Take what a worker answered to an activity.

        Raises:
            ComponentError: it could not be kept.
        """
        hub = await self._hub()
        await hub.steps.complete_task(self._runtime.app_id, response)

    async def close(self) -> None:
        """End the streams of this app's workers; what they had waits for those that come."""
        if self._host is not None:
            self._host.end(self._runtime.replica)
        if self._joined is not None:
            hub, self._joined = self._joined, None
            others = self._runtime.engine.runtimes.of(self._runtime.app_id)
            if others:
                await others[0].workflows.take_over(hub)
            else:
                await hub.homes.detach(self._runtime.app_id)

    async def take_over(self, hub: "WorkflowHub") -> None:
        """Bring in what another replica has brought in, and which is about to close."""
        self._host = self._joined = None
        await self._try_to_join(hub)

    async def join(self) -> None:
        """Bring in what this app has of workflows, where any app of the run uses some.

        An app may be asked to run another one's workflows before it has any worker of its own.
        """
        if (hub := self._runtime.engine.hub) is not None:
            await self._try_to_join(hub)

    async def renew(self) -> None:
        """Go on with the actor state store of the moment.

        What is in another one rests until that is back.
        """
        if self._joined is not None:
            hub, self._joined = self._joined, None
            await self._try_to_join(hub)

    async def _hub(self) -> "WorkflowHub":
        engine = self._runtime.engine
        hub = await engine.workflows()
        if self._joined is None:
            for other in engine.runtimes:
                if other is not self._runtime:
                    await other.workflows.join()
            await self._join(hub)
        return hub

    async def _try_to_join(self, hub: "WorkflowHub") -> None:
        """Join if that is possible; else the next call about workflows tries again."""
        try:
            await self._join(hub)
        except ComponentError as error:
            app_id = self._runtime.app_id
            logger.error("the workflows of app '%s' cannot be read: %s", app_id, error)  # noqa: TRY400 - the text says all

    async def _join(self, hub: "WorkflowHub") -> None:
        runtime = self._runtime
        if self._host is None:
            self._host = hub.host(runtime.app_id)
            self._host.settings = runtime.resources.configuration.workflow
            if runtime.telemetry.meters is not None or runtime.telemetry.tracer is not None:
                from daprflow.sidecar.workflows.watch import WorkflowWatch  # noqa: PLC0415 - loaded

                self._host.watch = WorkflowWatch(runtime.telemetry)
        if self._joined is None:
            from daprflow.sidecar.workflows.homes import NOWHERE  # noqa: PLC0415 - loaded by now
            from daprflow.sidecar.workflows.placing import place_of  # noqa: PLC0415 - likewise

            place = place_of(runtime)
            if place is NOWHERE:
                logger.warning(
                    "app '%s' cannot use workflows: no state store of its resources has "
                    'actorStateStore: "true"; every call about them fails until one has',
                    runtime.app_id,
                )
            await hub.homes.attach(runtime.app_id, place)
            self._joined = hub

    # ---- Dapr's own API -------------------------------------------------------------------------

    async def start(
        self,
        name: str,
        instance_id: str,
        data: bytes,
        options: Mapping[str, str],
        trace: Trace = NO_CONTEXT,
    ) -> str:
        """Start an instance, once there is a worker, and return its id; it need not run yet.

        Args:
            name: the workflow's.
            instance_id: the id; empty for one that is made.
            data: the input as it came.
            options: what the call says besides; `START_TIME` alone means something.
            trace: what the call is a part of.

        Raises:
            Fault: the id cannot be one, or is in use; or no name is given.
        """
        instance_id = instance_id or str(uuid4())
        _check_new_id(instance_id)
        if not name:
            raise faults.workflow_name_missing()
        clock = self._runtime.engine.clock
        for pause in (*PAUSES, None):
            try:
                return await self._start_once(name, instance_id, data, options, trace)
            except Fault:
                if pause is None:
                    raise
                await sleep_until(clock, clock.now() + pause)
        raise AssertionError  # the last attempt returned or raised

    async def _start_once(
        self, name: str, instance_id: str, data: bytes, options: Mapping[str, str], trace: Trace
    ) -> str:
        try:
            at = _start_time(options)
        except ValueError:
            raise workflow_faults.start_time(name) from None
        api = await self.api()
        try:
            return await api.start_with(name, instance_id, data.decode(), at, trace)
        except UnicodeDecodeError:
            raise workflow_faults.start(name, _NOT_TEXT) from None
        except WorkflowProblem as problem:
            raise workflow_faults.start(name, _doing_start(problem)) from None

    async def get(self, instance_id: str) -> WorkflowStatus | None:
        """Return the state of an instance; None where there is none.

        Raises:
            Fault: no id is given, or no state store is there for workflows.
        """
        _check_id(instance_id)
        try:
            return await (await self.api()).status(instance_id)
        except WorkflowProblem as problem:
            raise workflow_faults.get(instance_id, str(problem)) from None

    async def terminate(self, instance_id: str) -> None:
        """Have an instance end, with its child workflows.

        Raises:
            Fault: there is no such instance, or no worker.
        """
        _check_id(instance_id)
        try:
            api = await self.api()
            await api.terminate(instance_id, None, recursive=True, wait=False)
        except NoInstance as problem:
            doing = f"failed to submit termination request:: {problem}"
            raise workflow_faults.not_found(instance_id, doing) from None
        except WorkflowProblem as problem:
            raise workflow_faults.terminate(instance_id, str(problem)) from None

    async def raise_event(self, instance_id: str, event: str, data: bytes | None) -> None:
        """Send an event to an instance.

        Raises:
            Fault: there is no such instance, or no worker; or the event has no name.
        """
        _check_id(instance_id)
        if not event:
            raise faults.workflow_event_missing()
        try:
            text = None if data is None else data.decode()
            await (await self.api()).raise_with(instance_id, event, text)
        except WorkflowProblem as problem:
            raise workflow_faults.raise_event(instance_id, event, str(problem)) from None
        except UnicodeDecodeError:
            raise workflow_faults.raise_event(instance_id, event, _INVALID_TEXT) from None

    async def pause(self, instance_id: str) -> None:
        """Have an instance pause.

        Raises:
            Fault: there is no such instance, or no worker.
        """
        _check_id(instance_id)
        try:
            await (await self.api()).suspend(instance_id, "", wait=False)
        except WorkflowProblem as problem:
            raise workflow_faults.pause(instance_id, str(problem)) from None

    async def resume(self, instance_id: str) -> None:
        """Have an instance go on.

        Raises:
            Fault: there is no such instance, or no worker.
        """
        _check_id(instance_id)
        try:
            await (await self.api()).resume(instance_id, "", wait=False)
        except WorkflowProblem as problem:
            raise workflow_faults.resume(instance_id, str(problem)) from None

    async def purge(self, instance_id: str) -> None:
        """Forget an instance that is over, with its child workflows.

        Raises:
            Fault: there is no such instance, no worker, or it is not over.
        """
        _check_id(instance_id)
        try:
            await (await self.api()).purge(instance_id, recursive=True, force=False)
        except NoInstance as problem:
            doing = f"failed to purge workflow state: {problem}"
            raise workflow_faults.not_found(instance_id, doing) from None
        except WorkflowProblem as problem:
            raise workflow_faults.purge(instance_id, str(problem)) from None


def _check_id(instance_id: str) -> None:
    if not instance_id:
        raise faults.workflow_id_missing()


def _check_new_id(instance_id: str) -> None:
    if len(instance_id.encode()) > LONGEST_ID:
        raise faults.workflow_id_too_long(LONGEST_ID)
    if not all(c.isalpha() or c.isdecimal() or c in "_-" for c in instance_id):
        raise faults.workflow_id_invalid(instance_id)


def _start_time(options: Mapping[str, str]) -> float | None:
    """Return when an instance is to start, None where nothing is said.

    Raises:
        ValueError: it is no time.
    """
    text = options.get(START_TIME)
    if text is None:
        return None
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(text)
    return moment.timestamp()


def _doing_start(problem: WorkflowProblem) -> str:
    code = "rpc error: code = AlreadyExists desc = " if problem.code is Code.ALREADY_EXISTS else ""
    return f"failed to start workflow: {code}{problem}"
