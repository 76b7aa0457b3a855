"""The official SDK's workflow worker and client, against a sidecar in process."""

import asyncio
import contextlib
import gc
import warnings
from collections.abc import AsyncIterator, Callable
from typing import Any

from dapr.ext.workflow import DaprWorkflowContext, WorkflowRuntime
from dapr.ext.workflow.aio import DaprWorkflowClient

HOST = "127.0.0.1"
Context = DaprWorkflowContext


@contextlib.asynccontextmanager
async def working(
    port: int, teach: Callable[[WorkflowRuntime], None], **options: Any
) -> AsyncIterator[None]:
    """Run a worker, which has threads of its own, with the programs that ``teach`` gives it."""
    worker = WorkflowRuntime(host=HOST, port=str(port), **options)
    teach(worker)
    await asyncio.to_thread(worker.start)
    try:
        yield
    finally:
        await asyncio.to_thread(worker.shutdown)
        del worker
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()  # the SDK leaves the event loop of its thread open


def new_client(port: int) -> DaprWorkflowClient:
    """Return a client."""
    return DaprWorkflowClient(host=HOST, port=str(port))
