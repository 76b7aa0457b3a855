"""Workflows for code that cannot await."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest

from daprflow import (
    DaprFlow,
    ExternalEvent,
    NotFound,
    SyncClient,
    WorkflowContext,
    WorkflowFailed,
    WorkflowState,
)
from daprflow.protocol.history import ExecutionCompleted
from daprflow.protocol.http import HttpRequest, HttpResponse
from daprflow.testing import TestSidecar

app = DaprFlow("blocking")
number = ExternalEvent("number", int)


@app.activity
async def half(value: int) -> int:
    if value % 2:
        raise ValueError("odd")
    return value // 2


@app.workflow
async def halves(ctx: WorkflowContext, value: int) -> int:
    return await ctx.call(half, value) + await ctx.wait(number)


class OtherThread:
    """The way to a sidecar of another thread: over gRPC alone."""

    def __init__(self, address: str) -> None:
        self.address = address

    def grpc_address(self) -> str:
        """Return where it is."""
        return self.address

    async def start_grpc(self, _component: str, _block: str, /) -> None:
        """Do nothing: it listens."""

    async def send(self, request: HttpRequest, /) -> HttpResponse:
        """Tell that it is ready."""
        assert request.target == "/v1.0/healthz/outbound"
        return HttpResponse(204)

    async def close(self) -> None:
        """Do nothing."""


@asynccontextmanager
async def in_thread() -> AsyncIterator[Callable[[Callable[[SyncClient], Any]], Any]]:
    """What runs a function with a blocking client, in a thread beside the app and its sidecar."""
    async with TestSidecar(app) as dapr:
        await dapr.client.channels.to_sidecar("", "workflows")
        address = dapr.client.channels.address

        def work(function: Callable[[SyncClient], Any]) -> Any:
            with SyncClient(transport=OtherThread(address)) as client:
                return function(client)

        yield lambda function: asyncio.to_thread(work, function)


async def test_workflows_start_and_end() -> None:
    """A workflow is started, found again, sent an event, and its result is waited for."""

    def work(client: SyncClient) -> None:
        run = client.start(halves, 10, id="h1")
        assert (run.id, repr(run)) == ("h1", "SyncWorkflowRun('halves', 'h1')")
        with pytest.raises(TimeoutError, match="did not end"):
            run.result(timedelta(seconds=0.01))
        client.workflow(halves, "h1").send(number, 3)
        assert run.result() == 8
        status = run.status()
        assert (status.input, status.output) == (10, 8)
        assert isinstance(run.history()[-1], ExecutionCompleted)
        again = run.rerun(1, id="h2", data=20)
        again.send(number, 0)
        assert again.result() == 10

    async with in_thread() as runs:
        await runs(work)


async def test_workflows_are_managed() -> None:
    """Instances are suspended, resumed, terminated, listed and purged; failures are raised."""

    def work(client: SyncClient) -> None:
        run = client.start(halves, 2)
        run.suspend("hold on")
        assert run.status().state is WorkflowState.SUSPENDED
        run.resume()
        run.terminate(5)
        with pytest.raises(WorkflowFailed, match="terminated"):
            run.result()
        odd = client.start(halves, 3)
        with pytest.raises(WorkflowFailed, match="odd"):
            odd.result()
        states = {each.id: each.state for each in client.workflows(halves)}
        assert states == {run.id: WorkflowState.TERMINATED, odd.id: WorkflowState.FAILED}
        failed = client.workflows(state=WorkflowState.FAILED)
        assert next(failed).id == odd.id
        failed.close()  # type: ignore[attr-defined]  # it is a generator
        assert run.purge() == 1
        with pytest.raises(NotFound):
            run.status()

    async with in_thread() as runs:
        await runs(work)
