"""A worker over gRPC whose workflows call activities one after the other; it comes back at once."""

import asyncio
import contextlib
from collections import Counter
from typing import Any

import grpc

from daprflow.protocol import workflow_messages as wf
from tests.helpers.scripted_worker import end, task

SERVICE = "/TaskHubSidecarService/"
PAUSE = 0.05
SHORT = 2.0
_AWAY = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED})


class ChainWorker:
    """Runs chains; the input of a workflow says how long its is.

    Args:
        port: where the sidecar is, now and then.

    Attributes:
        executed: how often each activity was done.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._calls: set[asyncio.Task[Any]] = set()
        self.executed: Counter[tuple[str, int]] = Counter()

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            with contextlib.suppress(grpc.aio.AioRpcError):
                async with grpc.aio.insecure_channel(f"127.0.0.1:{self._port}") as channel:
                    await self._work(channel)
            await asyncio.sleep(PAUSE)

    async def _work(self, channel: grpc.aio.Channel) -> None:
        items = channel.unary_stream(
            f"{SERVICE}GetWorkItems",
            request_serializer=wf.GetWorkItemsRequest.SerializeToString,
            response_deserializer=wf.WorkItem.FromString,
        )(wf.GetWorkItemsRequest())
        async for item in items:
            work = asyncio.create_task(self._answer(channel, item))
            self._calls.add(work)
            work.add_done_callback(self._calls.discard)

    async def _answer(self, channel: grpc.aio.Channel, item: wf.WorkItem) -> None:
        """Answer an item; one that is answered to nobody comes again."""
        with contextlib.suppress(grpc.aio.AioRpcError, asyncio.CancelledError):
            if item.HasField("activityRequest"):
                await call(channel, "CompleteActivityTask", self._done(item))
            else:
                await call(channel, "CompleteOrchestratorTask", _turn(item))

    def _done(self, item: wf.WorkItem) -> wf.ActivityResponse:
        request = item.activityRequest
        instance_id = request.workflowInstance.instanceId
        self.executed[instance_id, request.taskId] += 1
        response = wf.ActivityResponse(
            instanceId=instance_id, taskId=request.taskId, completionToken=item.completionToken
        )
        response.result.value = str(request.taskId)
        return response


def _turn(item: wf.WorkItem) -> wf.WorkflowResponse:
    request = item.workflowRequest
    happened = [*request.pastEvents, *request.newEvents]
    start = next(event.executionStarted for event in happened if event.HasField("executionStarted"))
    made = sum(event.HasField("taskScheduled") for event in happened)
    results = [event.taskCompleted for event in happened if event.HasField("taskCompleted")]
    actions = []
    if len(results) == int(start.input.value):
        actions = [end(made + 1, ",".join(each.result.value for each in results))]
    elif len(results) == made:
        actions = [task(made + 1)]
    return wf.WorkflowResponse(
        instanceId=request.instanceId, actions=actions, completionToken=item.completionToken
    )


async def call(channel: grpc.aio.Channel, method: str, request: Any) -> Any:
    """Call a method of the service."""
    known = wf.DESCRIPTOR.services_by_name["TaskHubSidecarService"].methods_by_name[method]
    answer: Any = getattr(wf, known.output_type.name)
    return await channel.unary_unary(
        f"{SERVICE}{method}",
        request_serializer=type(request).SerializeToString,
        response_deserializer=answer.FromString,
    )(request)


async def insist(port: int, method: str, request: Any) -> Any:
    """Call a method of the service until there is an answer."""
    while True:
        try:
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                return await call(channel, method, request)
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.ALREADY_EXISTS:
                return None
            if error.code() not in _AWAY:
                raise
        await asyncio.sleep(PAUSE)
