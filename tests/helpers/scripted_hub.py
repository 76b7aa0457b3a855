"""A task hub on a port of its own, whose streams of work end as a test says."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any

import grpc

from daprflow.protocol import workflow_messages as wf

SERVICE = "TaskHubSidecarService"
End = grpc.StatusCode | None
"""The status with which a stream ends; None for its plain end."""
Refusal = tuple[grpc.StatusCode, str]


async def _nothing(_number: int) -> Refusal | None:
    return None


class ScriptedHub:
    """Gives each stream one sign of life, and ends the first ones; the next one stays.

    Attributes:
        opened: how many streams there were.
        answers: what came of activities and of turns.
        refuse: called with the number of an answer, from 1 on; gives the status it is refused
            with, or None. One that never returns leaves the call hanging.
        items: what the stream that stays gives.
        refusals: what is said to those who ask for an instance, before one is given.
    """

    def __init__(self, ends: Iterable[End]) -> None:
        self.opened = 0
        self.answers: list[wf.ActivityResponse | wf.WorkflowResponse] = []
        self.refuse: Callable[[int], Awaitable[Refusal | None]] = _nothing
        self.refusals: list[Refusal] = []
        self.items: asyncio.Queue[wf.WorkItem] = asyncio.Queue()
        self._ends = list(ends)

    def was_opened(self, times: int) -> bool:
        """Tell whether there were so many streams."""
        return self.opened >= times

    async def _hello(self, _request: wf.Empty, _context: Any) -> wf.Empty:
        return wf.Empty()

    async def _work(self, _request: wf.GetWorkItemsRequest, context: Any) -> AsyncIterator[Any]:
        self.opened += 1
        life = wf.WorkItem()
        life.healthPing.SetInParent()
        yield life
        if self._ends:
            end = self._ends.pop(0)
            if end is not None:
                await context.abort(end, "as the script says")
            return
        while True:
            yield await self.items.get()

    async def _complete(self, response: Any, context: Any) -> Any:
        self.answers.append(response)
        refusal = await self.refuse(len(self.answers))
        if refusal is not None:
            await context.abort(*refusal)
        return wf.CompleteTaskResponse()

    async def _instance(self, request: wf.GetInstanceRequest, context: Any) -> Any:
        if self.refusals:
            await context.abort(*self.refusals.pop(0))
        state = wf.WorkflowState(
            instanceId=request.instanceId, workflowStatus=wf.ORCHESTRATION_STATUS_COMPLETED
        )
        return wf.GetInstanceResponse(exists=True, workflowState=state)

    def handlers(self) -> grpc.GenericRpcHandler:
        """Return what a server calls."""
        unary = grpc.unary_unary_rpc_method_handler
        stream = grpc.unary_stream_rpc_method_handler
        give = wf.WorkItem.SerializeToString
        instance = unary(
            self._instance,
            wf.GetInstanceRequest.FromString,
            wf.GetInstanceResponse.SerializeToString,
        )
        methods: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
            "GetInstance": instance,
            "WaitForInstanceCompletion": instance,
            "Hello": unary(self._hello, wf.Empty.FromString, wf.Empty.SerializeToString),
            "GetWorkItems": stream(self._work, wf.GetWorkItemsRequest.FromString, give),
            "CompleteActivityTask": unary(
                self._complete,
                wf.ActivityResponse.FromString,
                wf.CompleteTaskResponse.SerializeToString,
            ),
            "CompleteOrchestratorTask": unary(
                self._complete,
                wf.WorkflowResponse.FromString,
                wf.CompleteTaskResponse.SerializeToString,
            ),
        }
        return grpc.method_handlers_generic_handler(SERVICE, methods)


@contextlib.asynccontextmanager
async def scripted_hub(
    ends: Iterable[End] = (), port: int = 0
) -> AsyncIterator[tuple[ScriptedHub, int]]:
    """Serve a hub; give it and its port."""
    hub = ScriptedHub(ends)
    server = grpc.aio.server(
        options=(
            ("grpc.http2.min_ping_interval_without_data_ms", 10),
            ("grpc.http2.max_ping_strikes", 0),
        )
    )
    server.add_generic_rpc_handlers((hub.handlers(),))
    taken = server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    try:
        yield hub, taken
    finally:
        await server.stop(0)
