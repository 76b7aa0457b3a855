"""Waiting for the result of a workflow, whoever goes away meanwhile."""

import grpc
import pytest

from daprflow import Client, SidecarError, Workflow
from daprflow.settings import Settings
from tests.helpers.scripted_hub import scripted_hub

flow: Workflow[None, None] = Workflow("app1", "flow", type(None), type(None))
PASSING = (
    (grpc.StatusCode.UNAVAILABLE, "going down"),
    (grpc.StatusCode.CANCELLED, "dropped"),
    (
        grpc.StatusCode.UNKNOWN,
        "failed to create actor: actor type dapr.internal.default.app1.workflow not registered",
    ),
    (
        grpc.StatusCode.FAILED_PRECONDITION,
        "did not find address for actor 'dapr.internal.default.app1.workflow/w1'",
    ),
)


async def test_a_result_outlives_sidecars_and_workers() -> None:
    """What is said while a sidecar or an app restarts does not end the wait for a result."""
    async with scripted_hub() as (hub, port):
        hub.refusals += PASSING
        async with Client(Settings(grpc_endpoint=f"127.0.0.1:{port}", health_timeout=0)) as client:
            await client.workflow(flow, "w1").result()
        assert hub.refusals == []


async def test_other_refusals_end_the_wait() -> None:
    """What does not pass is raised at once."""
    async with scripted_hub() as (hub, port):
        hub.refusals.append((grpc.StatusCode.PERMISSION_DENIED, "not for you"))
        async with Client(Settings(grpc_endpoint=f"127.0.0.1:{port}", health_timeout=0)) as client:
            with pytest.raises(SidecarError, match="not for you"):
                await client.workflow(flow, "w1").result()
