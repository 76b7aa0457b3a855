"""``TaskHubSidecarService``: what workers of workflows and their clients call; imported late."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

from daprflow.protocol import history_pages
from daprflow.protocol import workflow_messages as wf
from daprflow.protocol.fault import Fault
from daprflow.protocol.grpc_codes import Code
from daprflow.sidecar.components.base import ComponentError
from daprflow.sidecar.grpc_api.call import GrpcCall, Method, Shape
from daprflow.sidecar.workflows.host import StreamEnded, WorkStream
from daprflow.sidecar.workflows.problems import WorkflowProblem

SEND_TIMEOUT = 10.0
"""Seconds that a worker may take to take an item; then its stream ends, and others get it."""

PAGE = 2 * 1024 * 1024
"""Bytes of a history in one page: what any client takes."""


class _Encoded:
    """A work item that is encoded already."""

    __slots__ = ("_data",)

    def __init__(self, data: bytes) -> None:
        self._data = data

    def SerializeToString(self) -> bytes:  # noqa: N802 - what the server core calls on messages
        """Return it as it goes out."""
        return self._data


def _fault(text: str, code: Code) -> Fault:
    return Fault(500, "ERR_WORKFLOW", text, grpc=code)


def _problem(problem: WorkflowProblem, doing: str = "") -> Fault:
    return _fault(f"{doing}{problem}" if doing else problem.alone, problem.code)


# ---- workers ------------------------------------------------------------------------------------


async def _hello(call: GrpcCall, _request: wf.Empty) -> wf.Empty:
    await call.runtime.workflows.api()
    return wf.Empty()


async def _work_items(call: GrpcCall, request: wf.GetWorkItemsRequest) -> AsyncIterator[wf.Message]:
    try:
        workflows = await call.runtime.workflows.api()
    except WorkflowProblem as problem:
        raise _problem(problem) from None
    stateful = wf.WORKER_CAPABILITY_STATEFUL_HISTORY in request.capabilities
    paged = history_pages.PAGED in call.metadata
    stream = WorkStream(
        stateful=stateful,
        limit=call.runtime.options.max_body_size,
        paged=paged,
        replica=call.runtime.replica,
    )
    host, loop, task = workflows.host, asyncio.get_running_loop(), asyncio.current_task()
    host.attach(stream)
    try:
        while True:
            item: Any = _Encoded(await host.next(stream))
            late = None if task is None else loop.call_later(SEND_TIMEOUT, task.cancel)
            try:
                yield item
            finally:
                if late is not None:
                    late.cancel()
    except StreamEnded:
        raise _fault("shutting down", Code.CANCELLED) from None
    finally:
        host.detach(stream)


async def _complete_turn(call: GrpcCall, response: wf.WorkflowResponse) -> wf.CompleteTaskResponse:
    await call.runtime.workflows.complete_turn(response)
    return wf.CompleteTaskResponse()


async def _complete_task(call: GrpcCall, response: wf.ActivityResponse) -> wf.CompleteTaskResponse:
    await call.runtime.workflows.complete_task(response)
    return wf.CompleteTaskResponse()


# ---- clients ------------------------------------------------------------------------------------


async def _start(call: GrpcCall, request: wf.CreateInstanceRequest) -> wf.CreateInstanceResponse:
    workflows = await call.runtime.workflows.api(request.router.targetAppID)
    try:
        instance_id = await workflows.start(request)
    except WorkflowProblem as problem:
        doing = "failed to create workflow instance: "
        if problem.code is Code.ALREADY_EXISTS:
            doing += "rpc error: code = AlreadyExists desc = "
        raise _problem(problem, doing) from None
    if not request.HasField("scheduledStartTimestamp"):
        await workflows.started(instance_id, payloads=False)
    return wf.CreateInstanceResponse(instanceId=instance_id)


async def _get(call: GrpcCall, request: wf.GetInstanceRequest) -> wf.GetInstanceResponse:
    workflows = await call.runtime.workflows.api(request.router.targetAppID)
    state = await workflows.get(request.instanceId, payloads=request.getInputsAndOutputs)
    return wf.GetInstanceResponse(exists=state is not None, workflowState=state)


async def _wait_start(call: GrpcCall, request: wf.GetInstanceRequest) -> wf.GetInstanceResponse:
    workflows = await call.runtime.workflows.api(request.router.targetAppID)
    state = await workflows.started(request.instanceId, payloads=request.getInputsAndOutputs)
    return wf.GetInstanceResponse(exists=True, workflowState=state)


async def _wait_end(call: GrpcCall, request: wf.GetInstanceRequest) -> wf.GetInstanceResponse:
    workflows = await call.runtime.workflows.api(request.router.targetAppID)
    state = await workflows.completed(request.instanceId, payloads=request.getInputsAndOutputs)
    return wf.GetInstanceResponse(exists=True, workflowState=state)


async def _raise_event(call: GrpcCall, request: wf.RaiseEventRequest) -> wf.RaiseEventResponse:
    workflows = await call.runtime.workflows.api(request.router.targetAppID)
    data = request.input if request.HasField("input") else None
    await workflows.raise_event(request.instanceId, request.name, data)
    return wf.RaiseEventResponse()


async def _suspend(call: GrpcCall, request: wf.SuspendRequest) -> wf.SuspendResponse:
    workflows = await call.runtime.workflows.api(request.router.targetAppID)
    await workflows.suspend(request.instanceId, request.reason.value, wait=True)
    return wf.SuspendResponse()


async def _resume(call: GrpcCall, request: wf.ResumeRequest) -> wf.ResumeResponse:
    workflows = await call.runtime.workflows.api(request.router.targetAppID)
    await workflows.resume(request.instanceId, request.reason.value, wait=True)
    return wf.ResumeResponse()


async def _terminate(call: GrpcCall, request: wf.TerminateRequest) -> wf.TerminateResponse:
    workflows = await call.runtime.workflows.api(request.router.targetAppID)
    output = request.output if request.HasField("output") else None
    try:
        await workflows.terminate(
            request.instanceId, output, recursive=request.recursive, wait=True
        )
    except WorkflowProblem as problem:
        raise _problem(problem, "failed to submit termination request: ") from None
    return wf.TerminateResponse()


async def _purge(call: GrpcCall, request: wf.PurgeInstancesRequest) -> wf.PurgeInstancesResponse:
    if request.HasField("purgeInstanceFilter"):
        raise _fault("multi-instance purge is not unimplemented", Code.UNKNOWN)
    workflows = await call.runtime.workflows.api(request.router.targetAppID)
    try:
        count = await workflows.purge(
            request.instanceId, recursive=request.recursive, force=request.force
        )
    except WorkflowProblem as problem:
        raise _problem(problem, "failed to purge workflow state: ") from None
    return wf.PurgeInstancesResponse(deletedInstanceCount=count)


async def _rerun(
    call: GrpcCall, request: wf.RerunWorkflowFromEventRequest
) -> wf.RerunWorkflowFromEventResponse:
    workflows = await call.runtime.workflows.api(request.router.targetAppID)
    instance_id = await workflows.rerun(request)
    await workflows.started(instance_id, payloads=False)
    return wf.RerunWorkflowFromEventResponse(newInstanceID=instance_id)


async def _list(call: GrpcCall, request: wf.ListInstanceIDsRequest) -> wf.ListInstanceIDsResponse:
    workflows = await call.runtime.workflows.api()
    page = workflows.ids(request.continuationToken, request.pageSize)
    return wf.ListInstanceIDsResponse(instanceIds=page.instance_ids, continuationToken=page.token)


async def _history(
    call: GrpcCall, request: wf.GetInstanceHistoryRequest
) -> wf.GetInstanceHistoryResponse:
    workflows = await call.runtime.workflows.api()
    at = call.metadata.get(history_pages.AT)
    if at is None:
        await call.send_headers()
        return wf.GetInstanceHistoryResponse(events=await workflows.history(request.instanceId))
    limit = call.runtime.options.max_body_size
    size = PAGE if limit < 0 else min(PAGE, limit // 2)
    page = await workflows.history_page(request.instanceId, at, size)
    await call.send_headers(*([(history_pages.NEXT, page.following)] if page.following else ()))
    return wf.GetInstanceHistoryResponse(events=page.events)


def _told(handler: Callable[[GrpcCall, Any], Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """Let a call say what the problem is, as it stands."""

    async def call(call: GrpcCall, request: Any) -> Any:
        try:
            return await handler(call, request)
        except WorkflowProblem as problem:
            raise _problem(problem) from None
        except ComponentError as error:
            raise _fault(str(error), Code.UNKNOWN) from None

    return call


def _unary(
    handler: Callable[[GrpcCall, Any], Awaitable[Any]], request: type[Any], *, headers: bool = False
) -> Method:
    return Method(_told(handler), request, headers=headers)


METHODS: Mapping[str, Method] = {
    "Hello": _unary(_hello, wf.Empty),
    "StartInstance": _unary(_start, wf.CreateInstanceRequest),
    "GetInstance": _unary(_get, wf.GetInstanceRequest),
    "WaitForInstanceStart": _unary(_wait_start, wf.GetInstanceRequest),
    "WaitForInstanceCompletion": _unary(_wait_end, wf.GetInstanceRequest),
    "RaiseEvent": _unary(_raise_event, wf.RaiseEventRequest),
    "TerminateInstance": _unary(_terminate, wf.TerminateRequest),
    "SuspendInstance": _unary(_suspend, wf.SuspendRequest),
    "ResumeInstance": _unary(_resume, wf.ResumeRequest),
    "PurgeInstances": _unary(_purge, wf.PurgeInstancesRequest),
    "GetWorkItems": Method(_work_items, wf.GetWorkItemsRequest, Shape.SERVER_STREAM),
    "CompleteActivityTask": _unary(_complete_task, wf.ActivityResponse),
    "CompleteOrchestratorTask": _unary(_complete_turn, wf.WorkflowResponse),
    "CompleteWorkflowTask": _unary(_complete_turn, wf.WorkflowResponse),
    "RerunWorkflowFromEvent": _unary(_rerun, wf.RerunWorkflowFromEventRequest),
    "ListInstanceIDs": _unary(_list, wf.ListInstanceIDsRequest),
    "GetInstanceHistory": _unary(_history, wf.GetInstanceHistoryRequest, headers=True),
}
