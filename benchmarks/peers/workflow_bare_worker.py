"""Peer: the app's side of a bare loop of workflows, see `workflow_bare_hub`.

It decodes what comes and sends the answers that a worker sends; no code of any workflow or activity
runs. Each line of standard input is a number of activities, answered with the seconds they took.
"""

import asyncio
import sys
import time
from operator import methodcaller
from typing import Any

import grpc
import uvloop

from benchmarks.peers.workflow_bare_hub import SERVICE
from daprflow.protocol import workflow_messages as wf

EXECUTION = "7f2e27c8-7d26-5899-980c-06895104ef1d"


class Worker:
    """Answers a turn with the next activity, and an activity with a number."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        write = methodcaller("SerializeToString")

        def unary(name: str, answer: Any) -> Any:
            return channel.unary_unary(SERVICE + name, write, answer.FromString)

        self._items: Any = channel.unary_stream(
            f"{SERVICE}GetWorkItems", write, wf.WorkItem.FromString
        )(wf.GetWorkItemsRequest())
        self._start = unary("StartInstance", wf.CreateInstanceResponse)
        self._wait = unary("WaitForInstanceCompletion", wf.GetInstanceResponse)
        self._turned = unary("CompleteOrchestratorTask", wf.CompleteTaskResponse)
        self._done = unary("CompleteActivityTask", wf.CompleteTaskResponse)
        self._asked = self._count = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def chain(self, count: int) -> float:
        """Go through a chain and return the seconds it took."""
        self._asked, self._count = 0, count
        began = time.perf_counter()
        request = wf.CreateInstanceRequest(instanceId="bare", name="chain")
        request.input.value = str(count)
        await self._start(request)
        await self._wait(wf.GetInstanceRequest(instanceId="bare"))
        return time.perf_counter() - began

    async def work(self) -> None:
        """Take items; each is answered in a task, as it may take its time."""
        while (item := await self._items.read()) is not grpc.aio.EOF:
            task = asyncio.create_task(self._answer(item))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _answer(self, item: wf.WorkItem) -> None:
        token = item.completionToken
        if item.HasField("activityRequest"):
            asked = item.activityRequest
            done = wf.ActivityResponse(
                instanceId=asked.workflowInstance.instanceId,
                taskId=asked.taskId,
                completionToken=token,
            )
            done.result.value = str(int(asked.input.value) + 1)
            await self._done(done)
            return
        turn = wf.WorkflowResponse(instanceId="bare", completionToken=token)
        if self._asked == self._count:
            turn.actions.add(id=self._count + 1).completeWorkflow.result.value = "1"
        else:
            self._asked += 1
            action = turn.actions.add(id=self._asked)
            action.router.sourceAppID = "bench"
            action.scheduleTask.name = "step"
            action.scheduleTask.taskExecutionId = EXECUTION
            action.scheduleTask.input.value = str(self._asked)
        await self._turned(turn)


async def _serve(port: str) -> None:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        worker = Worker(channel)
        working = asyncio.create_task(worker.work())
        while line := await asyncio.to_thread(sys.stdin.readline):
            sys.stdout.write(f"{await worker.chain(int(line))}\n")
            sys.stdout.flush()
        working.cancel()


if __name__ == "__main__":
    uvloop.run(_serve(sys.argv[1]))
