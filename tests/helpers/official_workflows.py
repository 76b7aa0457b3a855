"""The official SDK's workflow worker and client, against a sidecar in process."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from dapr.ext.workflow import DaprWorkflowContext, WorkflowRuntime
from dapr.ext.workflow.aio import DaprWorkflowClient

HOST = "127.0.0.1"
Context = DaprWorkflowContext


def new_worker(port: int, **options: Any) -> WorkflowRuntime:
    """Return a worker that has no programs yet."""
    return WorkflowRuntime(host=HOST, port=str(port), **options)


@contextlib.asynccontextmanager
async def working(worker: WorkflowRuntime) -> AsyncIterator[None]:
    """Run a worker, which has threads of its own."""
    await asyncio.to_thread(worker.start)
    try:
        yield
    finally:
        await asyncio.to_thread(worker.shutdown)


def new_client(port: int) -> DaprWorkflowClient:
    """Return a client."""
    return DaprWorkflowClient(host=HOST, port=str(port))
