"""What clients can do with the workflows of an app."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING
from uuid import uuid4

from daprflow.protocol import workflow_messages as wf
from daprflow.protocol.grpc_codes import Code
from daprflow.protocol.workflows import WorkflowStatus
from daprflow.sidecar.blocks.pubsub_publish import NO_CONTEXT, Trace
from daprflow.sidecar.clock import sleep_until
from daprflow.sidecar.workflows import events
from daprflow.sidecar.workflows.description import TERMINAL, describe, status_of, with_parent
from daprflow.sidecar.workflows.instance import Instance
from daprflow.sidecar.workflows.keeping import kept
from daprflow.sidecar.workflows.problems import (
    NoInstance,
    NoStore,
    NoWorker,
    StoreProblem,
    WorkflowProblem,
)
from daprflow.sidecar.workflows.purging import doomed_alone, doomed_tree, refuse_stalled
from daprflow.sidecar.workflows.rerunning import begin_again, rerun_of
from daprflow.sidecar.workflows.reuse import Occupied, taken_by
from daprflow.sidecar.workflows.store import Changes

if TYPE_CHECKING:
    from daprflow.sidecar.workflows.host import Host
    from daprflow.sidecar.workflows.hub import WorkflowHub

PATIENCE = 5.0
"""Seconds that a call waits for a worker, as the real runtime's five lookups take."""
STALLED = "workflow is stalled"
LOADING = "failed to load workflow metadata: "
_FORBIDDEN = frozenset("/\\#?")
"""Characters that no job's name has; the first turn of an instance is a job of a real runtime."""

_LAST_ROW = 2**63 - 1
"""What SQLite numbers rows up to."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some of an app's instances, and where the next ones begin."""

    instance_ids: Sequence[str]
    token: str | None


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """Some of an instance's events, and where the next ones begin; empty with the last ones."""

    events: Sequence[wf.HistoryEvent]
    following: str


class Workflows:
    """The workflows of one app.

    Args:
        hub: has the instances of all apps.
        app_id: the app.
        namespace: part of the names that errors tell.
    """

    def __init__(self, hub: "WorkflowHub", app_id: str, namespace: str) -> None:
        self._hub = hub
        self._app_id = app_id
        self._namespace = namespace

    @property
    def host(self) -> "Host":
        """The app's workers."""
        return self._hub.host(self._app_id)

    # ---- starting -------------------------------------------------------------------------------

    async def start(self, request: wf.CreateInstanceRequest) -> str:
        """Start an instance, once there is a worker, and return its id when it is kept.

        Raises:
            WorkflowProblem: the id is in use, or cannot be one.
            ComponentError: it could not be written.
        """
        hub = self._hub
        app_id = request.router.targetAppID or self._app_id
        if not request.instanceId:
            request.instanceId = str(uuid4())
        hub.homes.check(app_id)
        await hub.host(app_id).appears()
        self._check_id(app_id, request.instanceId)
        watch = self.host.watch
        if watch is None:
            return await self._start(app_id, request)
        begun, span = hub.clock.now(), watch.create(request)
        error: Exception | None = None
        try:
            return await self._start(app_id, request, spans=watch.spans)
        except Exception as raised:
            error = raised
            raise
        finally:
            watch.created(span, begun, error)

    async def _start(
        self, app_id: str, request: wf.CreateInstanceRequest, *, spans: bool = False
    ) -> str:
        hub = self._hub
        start = events.started(request, str(uuid4()), hub.clock.now())
        if spans:
            events.begin_span(start.executionStarted)
        changes, key = Changes(), (app_id, request.instanceId)
        held = await hub.homes.fetch_tree(key)
        while (found := hub.find(*key)) is not None and found.saving:
            await found.settled()
            held = await hub.homes.fetch_tree(key)
        if found is not None:
            self._replace(found, changes)
        instance = hub.admit(app_id, start, changes)
        del held
        await self._begin(instance, changes)
        return request.instanceId

    def _check_id(self, app_id: str, instance_id: str) -> None:
        if _FORBIDDEN.isdisjoint(instance_id):
            return
        kind = f"dapr.internal.{self._namespace}.{app_id}.workflow"
        job = f"actorreminder||{self._namespace}||{kind}||{instance_id}||start-{uuid4().hex[:8]}"
        job = job.replace("\\", "\\\\")
        text = f"job name is invalid \"{job}\": must not contain '/', '\\', '#' or '?'"
        raise WorkflowProblem(f"rpc error: code = Unknown desc = {text}")

    def _replace(self, found: Instance, changes: Changes) -> None:
        try:
            taken_by(found, self._hub.find)
        except Occupied as occupied:
            raise WorkflowProblem(str(occupied), Code.ALREADY_EXISTS) from None
        self._hub.forget(found)
        changes.drop(found.row)

    async def start_with(
        self, name: str, instance_id: str, data: str, at: float | None, trace: Trace = NO_CONTEXT
    ) -> str:
        """Start an instance as Dapr's own API does: see `start`.

        Args:
            name: the workflow's.
            instance_id: the id, which is not empty.
            data: the input as it stands.
            at: when it begins, in seconds since the epoch; None for at once.
            trace: what the call is a part of; where spans are made, the instance is, too.

        Raises:
            WorkflowProblem: the id is in use.
            ComponentError: it could not be written.
        """
        request = wf.CreateInstanceRequest(instanceId=instance_id, name=name)
        request.input.value = data
        if at is not None:
            request.scheduledStartTimestamp.FromNanoseconds(round(at * events.NANOSECONDS))
        watch = self.host.watch
        if watch is not None and watch.spans and trace.traceparent:
            request.parentTraceContext.traceParent = trace.traceparent
            request.parentTraceContext.traceState.value = trace.tracestate
        return await self.start(request)

    async def _begin(self, instance: Instance, changes: Changes) -> None:
        """Let a new instance begin as soon as it is kept, though its caller may have left."""
        future = self._hub.commit(instance, changes)

        def begin(done: asyncio.Future[None]) -> None:
            if not done.cancelled() and done.exception() is None:
                self._hub.pump(instance)

        future.add_done_callback(begin)
        await kept(future)

    async def rerun(self, request: wf.RerunWorkflowFromEventRequest) -> str:
        """Run an instance that is over again from one of its events, as another one.

        Raises:
            WorkflowProblem: it is not over, or a child workflow, or has no such event; or the new
                id is in use.
            ComponentError: it could not be written.
        """
        rerun = rerun_of(request)
        await self._worker(rerun.source)
        await begin_again(self._hub, self._app_id, rerun)
        return rerun.target

    # ---- looking --------------------------------------------------------------------------------

    async def get(self, instance_id: str, *, payloads: bool) -> wf.WorkflowState | None:
        """Return the state of an instance, None where there is none."""
        found = await self._settled(instance_id, LOADING)
        if found is None:
            return None
        return describe(found, payloads=payloads)

    async def status(self, instance_id: str) -> WorkflowStatus | None:
        """Return the state of an instance as Dapr's own API tells it, None where there is none."""
        state = await self.get(instance_id, payloads=True)
        return None if state is None else status_of(state)

    async def started(self, instance_id: str, *, payloads: bool) -> wf.WorkflowState:
        """Return the state of an instance when it runs, or ran; with its parent, unlike `get`."""
        found = await self._hub.until(self._app_id, instance_id, _has_begun)
        return with_parent(found, describe(found, payloads=payloads))

    async def completed(self, instance_id: str, *, payloads: bool) -> wf.WorkflowState:
        """Return the state of an instance when it is over; with its parent, unlike `get`."""
        found = await self._hub.until(self._app_id, instance_id, _is_over)
        return with_parent(found, describe(found, payloads=payloads))

    async def history(self, instance_id: str) -> Sequence[wf.HistoryEvent]:
        """Return what happened to an instance.

        Raises:
            WorkflowProblem: there is none.
        """
        found = await self._settled(instance_id, LOADING)
        if found is None:
            text = f"workflow instance '{instance_id}' not found"
            raise WorkflowProblem(text, Code.NOT_FOUND)
        return list(found.history())

    async def history_page(self, instance_id: str, at: str, size: int) -> HistoryPage:
        """Return a part of what happened to an instance.

        Args:
            instance_id: which.
            at: where it begins; empty for the beginning.
            size: bytes that it may have; one event may have more.

        Raises:
            WorkflowProblem: there is none, or it began anew since the page before.
        """
        found = await self._settled(instance_id, LOADING)
        if found is None:
            text = f"workflow instance '{instance_id}' not found"
            raise WorkflowProblem(text, Code.NOT_FOUND)
        mark = f"{found.row.id}.{found.row.generation}."
        if at and not (at.startswith(mark) and at.removeprefix(mark).isdecimal()):
            text = f"workflow instance '{instance_id}' began anew; read its history anew"
            raise WorkflowProblem(text, Code.ABORTED)
        first = int(at.removeprefix(mark)) if at else 0
        events: list[wf.HistoryEvent] = []
        for event in islice(found.history(), first, None):
            size -= event.ByteSize()
            if events and size < 0:
                return HistoryPage(events, f"{mark}{first + len(events)}")
            events.append(event)
        return HistoryPage(events, "")

    def ids(self, token: str, size: int) -> Page:
        """Return a page of the app's instances.

        Args:
            token: where it begins; empty for the first one.
            size: how many at most; 0 for all.

        Raises:
            WorkflowProblem: the token is none.
        """
        problem = "" if not token or token.isdecimal() else "invalid syntax"
        if not problem and int(token or 0) > _LAST_ROW:
            problem = "value out of range"
        if problem:
            text = f'strconv.ParseUint: parsing "{token[:64]}": {problem}'
            raise WorkflowProblem(f"invalid continue token: {text}")
        try:
            rows = self._hub.homes.ids(self._app_id, int(token or 0), size or -1)
        except NoStore:
            raise WorkflowProblem("no state store with actor support found") from None
        more = bool(size) and len(rows) == size
        return Page([instance_id for _, instance_id in rows], str(rows[-1][0]) if more else None)

    # ---- changing -------------------------------------------------------------------------------

    async def raise_event(self, instance_id: str, name: str, data: wf.StringValue | None) -> None:
        """Send an event; an instance that is over takes none, and nobody hears of it.

        Raises:
            WorkflowProblem: there is no instance or no worker, or it is stalled.
            ComponentError: it could not be written.
        """
        found = await self._existing(instance_id)
        if found.execution.stalled is not None:
            raise WorkflowProblem(STALLED)
        await self._add(found, events.raised(name, data, self._hub.clock.now()))

    async def raise_with(self, instance_id: str, name: str, data: str | None) -> None:
        """Send an event as Dapr's own API does: see `raise_event`.

        Raises:
            WorkflowProblem: there is no instance or no worker, or it is stalled.
            ComponentError: it could not be written.
        """
        await self.raise_event(
            instance_id, name, None if data is None else wf.StringValue(value=data)
        )

    async def suspend(self, instance_id: str, reason: str, *, wait: bool) -> None:
        """Pause an instance.

        Raises:
            WorkflowProblem: there is no instance or no worker.
            ComponentError: it could not be written.
        """
        found = await self._existing(instance_id)
        await self._add(found, events.suspended(reason, self._hub.clock.now()))
        if wait:
            await self._hub.until(self._app_id, instance_id, _is_paused)

    async def resume(self, instance_id: str, reason: str, *, wait: bool) -> None:
        """Let an instance go on; one that is not paused is left alone, which workers need.

        Raises:
            WorkflowProblem: there is no instance or no worker.
            ComponentError: it could not be written.
        """
        found = await self._existing(instance_id)
        if not found.suspended:
            await found.settled()
            return
        await self._add(found, events.resumed(reason, self._hub.clock.now()))
        if wait:
            await self._hub.until(self._app_id, instance_id, _is_resumed)

    async def terminate(
        self, instance_id: str, output: wf.StringValue | None, *, recursive: bool, wait: bool
    ) -> None:
        """End an instance.

        Raises:
            WorkflowProblem: there is no instance or no worker.
            ComponentError: it could not be written.
        """
        found = await self._existing(instance_id)
        now = self._hub.clock.now()
        await self._add(found, events.terminated(output, now, recurse=recursive))
        if wait:
            await self._hub.until(self._app_id, instance_id, _is_over)

    async def purge(self, instance_id: str, *, recursive: bool, force: bool) -> int:
        """Forget an instance that is over, and with it its child workflows where wanted.

        All of them are forgotten, or none is.

        Args:
            instance_id: names it.
            recursive: whether child workflows are forgotten, too.
            force: whether it may still run; then no worker is needed.

        Returns:
            how many were forgotten.

        Raises:
            WorkflowProblem: there is no instance or no worker, or one is not over.
            ComponentError: it could not be written.
        """
        watch = self.host.watch
        if watch is None:
            return await self._purge(instance_id, recursive=recursive, force=force)
        begun = self._hub.clock.now()
        error: Exception | None = None
        try:
            return await self._purge(instance_id, recursive=recursive, force=force)
        except Exception as raised:
            error = raised
            raise
        finally:
            watch.did("purge_workflow", begun, error)

    async def _purge(self, instance_id: str, *, recursive: bool, force: bool) -> int:
        homes, key = self._hub.homes, (self._app_id, instance_id)

        def choose() -> list[Instance]:
            found = self._find(instance_id)
            if recursive:
                return doomed_tree(found, self._hub.find, force=force)
            return [doomed_alone(found, force=force)]

        if recursive:
            await self._look(instance_id, f"failed to fetch workflow state: {LOADING}")
            held = await homes.fetch_tree(key)
            choose()
        if not force:
            await self._worker(instance_id)
        held = await (homes.fetch_tree if recursive else homes.fetch)(key)
        doomed = choose()
        while saving := next((each for each in doomed if each.saving is not None), None):
            await saving.settled()  # what is over in memory alone may yet go on
            doomed = choose()
        del held
        await kept(self._hub.purge(doomed))
        return len(doomed)

    # ---- what most of them need -----------------------------------------------------------------

    async def _existing(self, instance_id: str) -> Instance:
        await self._worker(instance_id)
        found = await self._look(instance_id)
        if found is None:
            raise NoInstance
        refuse_stalled(found)
        return found

    async def _look(self, instance_id: str, doing: str = "") -> Instance | None:
        """Return an instance, which may have to be read first.

        Raises:
            WorkflowProblem: nowhere is a place for workflows; ``doing`` stands before that.
            ComponentError: it could not be read.
        """
        try:
            held = await self._hub.homes.fetch((self._app_id, instance_id))
        except NoStore:
            raise NoStore(doing) from None
        except StoreProblem as problem:
            raise StoreProblem(f"{doing}{problem}") from problem
        found = self._find(instance_id)
        del held
        return found

    def _find(self, instance_id: str) -> Instance | None:
        return self._hub.find(self._app_id, instance_id)

    async def _settled(self, instance_id: str, doing: str) -> Instance | None:
        """Return an instance of which all is kept that is known."""
        while (found := await self._look(instance_id, doing)) is not None:
            await found.settled()
            if not found.gone:
                return found
        return None

    async def _worker(self, instance_id: str) -> None:
        """Wait for a worker, but not for long.

        Raises:
            NoWorker: there is none.
        """
        host, clock = self.host, self._hub.clock
        self._hub.homes.check(self._app_id)
        if host.is_hosted:
            return
        waiting = {
            asyncio.ensure_future(host.appears()),
            asyncio.ensure_future(sleep_until(clock, clock.now() + PATIENCE)),
        }
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()
            await asyncio.wait(waiting)
        if not host.is_hosted:
            raise NoWorker(self._namespace, self._app_id, instance_id)

    async def _add(self, instance: Instance, event: wf.HistoryEvent) -> None:
        """Let an event arrive, unless the instance is over, and kept so."""
        while instance.execution.completed is not None and instance.saving is not None:
            await instance.settled()
            found = await self._look(instance.row.instance_id)
            if found is None:
                return
            instance = found
        if instance.execution.completed is None:
            begun = self._hub.clock.now()
            await kept(self._hub.add(instance, event))
            if (watch := self.host.watch) is not None:
                watch.did("add_event", begun)


def _is_over(instance: Instance) -> bool:
    return instance.status in TERMINAL


def _has_begun(instance: Instance) -> bool:
    return instance.status != wf.ORCHESTRATION_STATUS_PENDING


def _is_paused(instance: Instance) -> bool:
    if instance.status == wf.ORCHESTRATION_STATUS_PENDING:
        return instance.suspended  # it pauses as soon as it begins, which may be in a year
    return instance.status == wf.ORCHESTRATION_STATUS_SUSPENDED or _is_over(instance)


def _is_resumed(instance: Instance) -> bool:
    return instance.status == wf.ORCHESTRATION_STATUS_RUNNING or _is_over(instance)
