"""Waiting for a write."""

import asyncio

from daprflow.sidecar.components.base import ComponentError
from daprflow.sidecar.workflows.problems import StoreProblem


async def kept(future: asyncio.Future[None]) -> None:
    """Wait for a write, which goes on though its caller leaves.

    Raises:
        WorkflowProblem: it failed.
    """
    try:
        await asyncio.shield(future)
    except ComponentError as error:
        raise StoreProblem(str(error)) from error
