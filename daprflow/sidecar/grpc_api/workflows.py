"""The workflow methods: calls are checked; what they ask for, the embedded sidecar does not do."""

from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from daprflow.protocol import faults, messages
from daprflow.protocol.fault import Fault
from daprflow.sidecar.grpc_api.call import GrpcCall, Method

LONGEST_ID = 64
_VERSIONS = ("Alpha1", "Beta1")


def _check_start(request: messages.StartWorkflowRequest) -> None:
    instance = request.instance_id
    if len(instance.encode()) > LONGEST_ID:
        raise faults.workflow_id_too_long(LONGEST_ID)
    if not all(c.isalpha() or c.isdecimal() or c in "_-" for c in instance):
        raise faults.workflow_id_invalid(instance)
    if not request.workflow_name:
        raise faults.workflow_name_missing()


def _check_instance(request: Any) -> None:
    if not request.instance_id:
        raise faults.workflow_id_missing()


def _check_event(request: messages.RaiseEventWorkflowRequest) -> None:
    _check_instance(request)
    if not request.event_name:
        raise faults.workflow_event_missing()


def _method(kind: type[messages.Message], check: Callable[[Any], None]) -> Method:
    async def handle(_call: GrpcCall, request: messages.Message) -> NoReturn:
        check(request)
        raise _not_offered()

    return Method(handle, kind)


def _not_offered() -> Fault:
    return faults.unimplemented(
        "this API is currently not implemented: the embedded sidecar has no workflows; "
        "a real Dapr runtime offers it (daprflow run --sidecar daprd)"
    )


_BY_NAME: Mapping[str, Method] = {
    "StartWorkflow": _method(messages.StartWorkflowRequest, _check_start),
    "GetWorkflow": _method(messages.GetWorkflowRequest, _check_instance),
    "PurgeWorkflow": _method(messages.PurgeWorkflowRequest, _check_instance),
    "TerminateWorkflow": _method(messages.TerminateWorkflowRequest, _check_instance),
    "PauseWorkflow": _method(messages.PauseWorkflowRequest, _check_instance),
    "ResumeWorkflow": _method(messages.ResumeWorkflowRequest, _check_instance),
    "RaiseEventWorkflow": _method(messages.RaiseEventWorkflowRequest, _check_event),
}
METHODS: Mapping[str, Method] = {
    f"{name}{version}": method for name, method in _BY_NAME.items() for version in _VERSIONS
}
