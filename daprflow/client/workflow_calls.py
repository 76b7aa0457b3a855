"""The single calls of the task hub that the client makes, with errors in the client's terms."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from daprflow.client import failures
from daprflow.client.caller import Caller
from daprflow.client.describing import Purpose
from daprflow.client.grpc_calls import GrpcCall, carry
from daprflow.client.workflow_runs import is_missing, missing
from daprflow.errors import NotFound, SidecarError
from daprflow.handlers import trace
from daprflow.protocol.history import HistoryEvent
from daprflow.protocol.http import Headers
from daprflow.protocol.workflow_actions import Instance
from daprflow.transports.events import CallRefused
from daprflow.workflows.values import Values

if TYPE_CHECKING:
    from daprflow.transports.grpc_work import TaskHub

T = TypeVar("T")
PAGE = 100
ALREADY_THERE = 409
_START = "StartInstance"
_OPERATIONS: Mapping[str, str] = {
    _START: "start",
    "GetInstance": "get",
    "WaitForInstanceCompletion": "wait",
    "GetInstanceHistory": "history",
    "RaiseEvent": "raise_event",
    "SuspendInstance": "suspend",
    "ResumeInstance": "resume",
    "TerminateInstance": "terminate",
    "PurgeInstances": "purge",
    "RerunWorkflowFromEvent": "rerun",
    "ListInstanceIDs": "list",
}
_READS = frozenset({"GetInstance", "GetInstanceHistory", "ListInstanceIDs"})
"""What may be sent again when its connection fails."""
_ENDLESS = "WaitForInstanceCompletion"
_COUNTED = "/v1.0/workflows/dapr"
"""The workflow engine among the targets of calls, by the name that it has in paths."""


class WorkflowCalls:
    """Calls of one sidecar's task hub; gRPC is loaded with the first one."""

    def __init__(self, caller: Caller) -> None:
        self.values: Values = Values(caller.codecs)
        self._caller = caller

    async def start(
        self,
        name: str,
        instance: str,
        text: str | None,
        *,
        at: datetime | None,
        reuse: bool,
    ) -> str:
        """Start an instance and return its id."""
        if not reuse:
            await self._refuse_known(instance)
        pb = await self._messages()
        request = pb.CreateInstanceRequest(
            instanceId=instance, name=name, enforceUniqueInstanceId=not reuse
        )
        if text is not None:
            request.input.value = text
        if at is not None:
            request.scheduledStartTimestamp.FromDatetime(at)
        answer = await self._call(_START, request, pb.CreateInstanceResponse, instance)
        return str(answer.instanceId)

    async def _refuse_known(self, instance: str) -> None:
        """Refuse an id that is known: runtime 1.18 takes no notice of what asks for this."""
        try:
            await self.get(instance)
        except NotFound:
            return
        text = f"a workflow with ID '{instance}' already exists"
        raise SidecarError(text, status=ALREADY_THERE)

    async def get(self, instance: str) -> Instance:
        """Return the state of an instance.

        Raises:
            NotFound: there is none.
        """
        return await self._instance("GetInstance", instance)

    async def wait(self, instance: str) -> Instance:
        """Return the state of an instance that has ended, once it has."""
        return await self._instance(_ENDLESS, instance)

    async def history(self, instance: str) -> tuple[HistoryEvent, ...]:
        """Return the events of an instance."""
        await self._messages()
        from daprflow.protocol.history_codec import read_events  # noqa: PLC0415 - needs protobuf

        async def send(headers: Headers, seconds: float | None) -> Sequence[Any]:
            return await (await self._hub()).history(instance, seconds, headers)

        found = await self._told("GetInstanceHistory", send, instance)
        return tuple(read_events(found))

    async def raise_event(self, instance: str, name: str, text: str | None) -> None:
        """Give an instance an event."""
        pb = await self._messages()
        request = pb.RaiseEventRequest(instanceId=instance, name=name)
        if text is not None:
            request.input.value = text
        await self._call("RaiseEvent", request, pb.RaiseEventResponse, instance)

    async def suspend(self, instance: str, reason: str) -> None:
        """Have an instance hold still."""
        pb = await self._messages()
        request = pb.SuspendRequest(instanceId=instance)
        request.reason.value = reason
        await self._call("SuspendInstance", request, pb.SuspendResponse, instance)

    async def resume(self, instance: str, reason: str) -> None:
        """Have an instance go on."""
        pb = await self._messages()
        request = pb.ResumeRequest(instanceId=instance)
        request.reason.value = reason
        await self._call("ResumeInstance", request, pb.ResumeResponse, instance)

    async def terminate(self, instance: str, text: str | None, *, recursive: bool) -> None:
        """End an instance."""
        pb = await self._messages()
        request = pb.TerminateRequest(instanceId=instance, recursive=recursive)
        if text is not None:
            request.output.value = text
        await self._call("TerminateInstance", request, pb.TerminateResponse, instance)

    async def purge(self, instance: str, *, recursive: bool, force: bool) -> int:
        """Forget an instance; return how many were forgotten."""
        if force:
            await self.get(instance)  # runtime 1.18 breaks down when it is to force an unknown one
        pb = await self._messages()
        request = pb.PurgeInstancesRequest(instanceId=instance, recursive=recursive, force=force)
        answer = await self._call("PurgeInstances", request, pb.PurgeInstancesResponse, instance)
        return int(answer.deletedInstanceCount)

    async def rerun(
        self, instance: str, event: int, new: str | None, text: str | None, *, overwrite: bool
    ) -> str:
        """Begin a new instance with the history of an old one; return its id."""
        pb = await self._messages()
        request = pb.RerunWorkflowFromEventRequest(
            sourceInstanceID=instance, eventID=event, overwriteInput=overwrite
        )
        if new is not None:
            request.newInstanceID = new
        if text is not None:
            request.input.value = text
        answer = await self._call(
            "RerunWorkflowFromEvent", request, pb.RerunWorkflowFromEventResponse, instance
        )
        return str(answer.newInstanceID)

    async def ids(self, token: str | None) -> tuple[list[str], str | None]:
        """Return a page of instance ids, and what asks for the next one; None where none is."""
        pb = await self._messages()
        request = pb.ListInstanceIDsRequest(pageSize=PAGE)
        if token is not None:
            request.continuationToken = token
        answer = await self._call("ListInstanceIDs", request, pb.ListInstanceIDsResponse, "")
        more = answer.HasField("continuationToken") and bool(answer.continuationToken)
        return list(answer.instanceIds), answer.continuationToken if more else None

    async def _instance(self, method: str, instance: str) -> Instance:
        pb = await self._messages()
        from daprflow.protocol.history_codec import read_instance  # noqa: PLC0415 - needs protobuf

        request = pb.GetInstanceRequest(instanceId=instance, getInputsAndOutputs=True)
        answer = await self._call(method, request, pb.GetInstanceResponse, instance)
        if not answer.exists:
            raise missing(instance)
        return read_instance(answer.workflowState)

    async def _call(self, method: str, request: Any, answer: Any, instance: str) -> Any:
        """Make a call.

        Raises:
            NotFound: there is no such instance.
            SidecarError: the sidecar refused.
            SidecarUnavailable: none answered.
        """

        async def send(headers: Headers, seconds: float | None) -> Any:
            if method == _START:
                _name_parent(request, headers)
            hub = await self._hub()
            return await hub.call(method, request, answer, seconds, headers=headers)

        name = request.name if method == _START else ""
        return await self._told(method, send, instance, name)

    async def _told(
        self,
        method: str,
        send: Callable[[Headers, float | None], Awaitable[T]],
        instance: str,
        name: str = "",
    ) -> T:
        """Make a call, with errors in the client's terms.

        A wait for an end has no time, and no place: it lasts as long as the instance does.
        """
        caller, endless = self._caller, method == _ENDLESS
        call = GrpcCall(
            Purpose("workflows", _OPERATIONS.get(method, method), "", name, instance),
            method,
            None if endless else caller.seconds(caller.block_timeout),
            send,
            "" if endless else _COUNTED,
            most=caller.max_attempts if method in _READS else 1,
        )
        try:
            return await carry(caller.way, call)
        except CallRefused as refused:
            error = failures.of_call(refused)
            if instance and is_missing(error):
                raise missing(instance) from None
            raise error from None

    async def _hub(self) -> "TaskHub":
        channels = self._caller.way.channels
        channel = await channels.to_sidecar("", "workflows")
        transport = await channels.load("daprflow.transports.grpc_work")
        hub: TaskHub = transport.TaskHub(channel, channels.token)
        return hub

    async def _messages(self) -> Any:
        """Return the messages.

        Raises:
            WorkflowRuleError: a workflow's code asks.
        """
        return await self._caller.way.channels.load("daprflow.protocol.workflow_messages")


def _name_parent(request: Any, headers: Headers) -> None:
    """Write into a request to start an instance which span is its parent."""
    traced = dict((*trace.missing(headers), *headers))
    if "traceparent" in traced:
        context = request.parentTraceContext
        context.traceParent = traced["traceparent"]
        context.spanID = traced["traceparent"].split("-")[2]
        if "tracestate" in traced:
            context.traceState.value = traced["tracestate"]
