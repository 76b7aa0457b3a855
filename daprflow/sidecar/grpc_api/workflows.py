"""The workflow methods of the ``Dapr`` service: start instances, look at them, end them."""

from collections.abc import Mapping

from daprflow.protocol import messages
from daprflow.sidecar.grpc_api.call import GrpcCall, Method

_VERSIONS = ("Alpha1", "Beta1")


async def _start(
    call: GrpcCall, request: messages.StartWorkflowRequest
) -> messages.StartWorkflowResponse:
    options = dict(request.options)
    block = call.runtime.workflows
    instance_id = await block.start(
        request.workflow_name, request.instance_id, request.input, options, call.trace
    )
    return messages.StartWorkflowResponse(instance_id=instance_id)


async def _get(
    call: GrpcCall, request: messages.GetWorkflowRequest
) -> messages.GetWorkflowResponse:
    status = await call.runtime.workflows.get(request.instance_id)
    if status is None:
        return messages.GetWorkflowResponse(instance_id=request.instance_id)
    answer = messages.GetWorkflowResponse(
        instance_id=status.instance_id,
        workflow_name=status.workflow_name,
        runtime_status=status.runtime_status,
        properties=dict(status.properties),
    )
    answer.created_at.FromJsonString(status.created_at)
    answer.last_updated_at.FromJsonString(status.last_updated_at)
    return answer


async def _terminate(call: GrpcCall, request: messages.TerminateWorkflowRequest) -> messages.Empty:
    await call.runtime.workflows.terminate(request.instance_id)
    return messages.Empty()


async def _raise_event(
    call: GrpcCall, request: messages.RaiseEventWorkflowRequest
) -> messages.Empty:
    data = request.event_data or None
    await call.runtime.workflows.raise_event(request.instance_id, request.event_name, data)
    return messages.Empty()


async def _pause(call: GrpcCall, request: messages.PauseWorkflowRequest) -> messages.Empty:
    await call.runtime.workflows.pause(request.instance_id)
    return messages.Empty()


async def _resume(call: GrpcCall, request: messages.ResumeWorkflowRequest) -> messages.Empty:
    await call.runtime.workflows.resume(request.instance_id)
    return messages.Empty()


async def _purge(call: GrpcCall, request: messages.PurgeWorkflowRequest) -> messages.Empty:
    await call.runtime.workflows.purge(request.instance_id)
    return messages.Empty()


_BY_NAME: Mapping[str, Method] = {
    "StartWorkflow": Method(_start, messages.StartWorkflowRequest),
    "GetWorkflow": Method(_get, messages.GetWorkflowRequest),
    "PurgeWorkflow": Method(_purge, messages.PurgeWorkflowRequest),
    "TerminateWorkflow": Method(_terminate, messages.TerminateWorkflowRequest),
    "PauseWorkflow": Method(_pause, messages.PauseWorkflowRequest),
    "ResumeWorkflow": Method(_resume, messages.ResumeWorkflowRequest),
    "RaiseEventWorkflow": Method(_raise_event, messages.RaiseEventWorkflowRequest),
}
METHODS: Mapping[str, Method] = {
    f"{name}{version}": method for name, method in _BY_NAME.items() for version in _VERSIONS
}
