"""Peer: the sidecar's side of a bare loop of workflows, without any engine.

For a chain of activities it receives, decodes, encodes and sends the messages that a sidecar does,
and commits as often, to SQLite with ``synchronous=FULL``: once for a start, for each activity's
result and for each turn. The bytes committed are those of the event or of the answer. It keeps no
state of an instance, plans nothing, checks nothing and answers no other calls.
"""

import asyncio
import sys
from operator import methodcaller
from pathlib import Path
from typing import Any

import grpc
import uvloop

from benchmarks.peers.relay import Journal
from benchmarks.peers.serve import end_with_parent
from daprflow.protocol import workflow_messages as wf

SERVICE = "/TaskHubSidecarService/"


class Hub:
    """Sends a turn for each result, and an activity for each turn."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._items: asyncio.Queue[wf.WorkItem] = asyncio.Queue()
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._commits = 0
        self._past = 0

    async def _commit(self, data: bytes) -> None:
        self._commits += 1
        await self._journal.add(str(self._commits), data)

    def _turn(self, event: wf.HistoryEvent) -> None:
        item = wf.WorkItem(completionToken=f"turn-{self._commits}")
        request = item.workflowRequest
        request.instanceId = "bare"
        request.cachedHistory.eventCount = self._past
        begun = request.newEvents.add(eventId=-1)
        begun.timestamp.GetCurrentTime()
        begun.workflowStarted.SetInParent()
        request.newEvents.append(event)
        self._past += 3
        self._items.put_nowait(item)

    async def start(self, request: wf.CreateInstanceRequest, _: Any) -> wf.CreateInstanceResponse:
        """Begin, once that is committed."""
        self._ended = asyncio.get_running_loop().create_future()
        self._past = 0
        event = wf.HistoryEvent(eventId=-1)
        event.timestamp.GetCurrentTime()
        event.executionStarted.name = request.name
        event.executionStarted.input.CopyFrom(request.input)
        await self._commit(event.SerializeToString())
        self._turn(event)
        return wf.CreateInstanceResponse(instanceId=request.instanceId)

    async def wait(self, _request: wf.GetInstanceRequest, _: Any) -> wf.GetInstanceResponse:
        """Answer when the last turn is committed."""
        await self._ended
        return wf.GetInstanceResponse(exists=True)

    async def turned(self, response: wf.WorkflowResponse, _: Any) -> wf.CompleteTaskResponse:
        """Commit a turn, then send the activity that it asks for."""
        await self._commit(response.SerializeToString())
        action = response.actions[0]
        if action.HasField("completeWorkflow"):
            self._ended.set_result(None)
        else:
            asked = action.scheduleTask
            item = wf.WorkItem(completionToken=f"task-{action.id}")
            task = item.activityRequest
            task.name, task.taskId = asked.name, action.id
            task.taskExecutionId = asked.taskExecutionId
            task.workflowInstance.instanceId = response.instanceId
            task.input.CopyFrom(asked.input)
            self._items.put_nowait(item)
        return wf.CompleteTaskResponse()

    async def done(self, response: wf.ActivityResponse, _: Any) -> wf.CompleteTaskResponse:
        """Commit a result, then send the next turn."""
        event = wf.HistoryEvent(eventId=-1)
        event.timestamp.GetCurrentTime()
        event.taskCompleted.taskScheduledId = response.taskId
        event.taskCompleted.result.CopyFrom(response.result)
        await self._commit(event.SerializeToString())
        self._turn(event)
        return wf.CompleteTaskResponse()

    async def items(self, _request: wf.GetWorkItemsRequest, context: Any) -> None:
        """Send items as they come."""
        while True:
            await context.write(await self._items.get())


class _Methods(grpc.GenericRpcHandler):
    def __init__(self, hub: Hub) -> None:
        unary: Any = grpc.unary_unary_rpc_method_handler
        stream: Any = grpc.unary_stream_rpc_method_handler
        write = methodcaller("SerializeToString")
        self._handlers = {
            "StartInstance": unary(hub.start, wf.CreateInstanceRequest.FromString, write),
            "WaitForInstanceCompletion": unary(hub.wait, wf.GetInstanceRequest.FromString, write),
            "CompleteOrchestratorTask": unary(hub.turned, wf.WorkflowResponse.FromString, write),
            "CompleteActivityTask": unary(hub.done, wf.ActivityResponse.FromString, write),
            "GetWorkItems": stream(hub.items, wf.GetWorkItemsRequest.FromString, write),
        }

    def service(self, handler_call_details: Any) -> Any:
        """Find a method."""
        return self._handlers.get(handler_call_details.method.removeprefix(SERVICE))


async def _serve(path: Path) -> None:
    journal = Journal(path)
    journal.start()
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((_Methods(Hub(journal)),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    await server.wait_for_termination()


if __name__ == "__main__":
    end_with_parent()
    uvloop.run(_serve(Path(sys.argv[1])))
