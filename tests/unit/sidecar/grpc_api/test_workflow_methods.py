"""Workflow management over gRPC: which calls are refused, and what waits."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from daprflow.protocol import messages as m
from tests.helpers.grpc_calls import refusal
from tests.helpers.grpc_sidecar import GrpcSidecar, grpc_sidecar

MISSING = "no instance ID was provided"
REQUESTS: dict[str, Any] = {
    "GetWorkflow": m.GetWorkflowRequest,
    "PurgeWorkflow": m.PurgeWorkflowRequest,
    "TerminateWorkflow": m.TerminateWorkflowRequest,
    "PauseWorkflow": m.PauseWorkflowRequest,
    "ResumeWorkflow": m.ResumeWorkflowRequest,
    "RaiseEventWorkflow": m.RaiseEventWorkflowRequest,
}


@pytest.fixture
async def sidecar(tmp_path: Path) -> AsyncIterator[GrpcSidecar]:
    """A sidecar."""
    async with grpc_sidecar(tmp_path, {}) as running:
        yield running


@pytest.mark.parametrize("version", ["Alpha1", "Beta1"])
@pytest.mark.parametrize("name", REQUESTS)
async def test_an_instance_has_to_be_named(sidecar: GrpcSidecar, name: str, version: str) -> None:
    """A call about no instance is refused as the real runtime does."""
    found = await refusal(getattr(sidecar.stub, f"{name}{version}")(REQUESTS[name]()))
    assert (found.code, found.text, found.info) == ("INVALID_ARGUMENT", MISSING, None)


@pytest.mark.parametrize(
    ("request_", "text"),
    [
        (m.StartWorkflowRequest(), "workflow name is not configured"),
        (
            m.StartWorkflowRequest(instance_id="a b", workflow_name="w"),
            (
                "workflow instance ID 'a b' is invalid: only alphanumeric and underscore "
                "characters are allowed"
            ),
        ),
        (
            m.StartWorkflowRequest(instance_id="a" * 65, workflow_name="w"),
            "workflow instance ID exceeds the max length of 64 characters",
        ),
    ],
)
async def test_what_can_be_started(
    sidecar: GrpcSidecar, request_: m.StartWorkflowRequest, text: str
) -> None:
    """A start that cannot be is refused before anything else."""
    found = await refusal(sidecar.stub.StartWorkflowBeta1(request_))
    assert (found.code, found.text) == ("INVALID_ARGUMENT", text)


async def test_an_event_has_to_be_named(sidecar: GrpcSidecar) -> None:
    """An event without a name is refused."""
    request = m.RaiseEventWorkflowRequest(instance_id="a")
    found = await refusal(sidecar.stub.RaiseEventWorkflowBeta1(request))
    assert (found.code, found.text) == ("INVALID_ARGUMENT", "missing workflow event name")


async def test_a_start_without_a_worker_leaves_nothing(sidecar: GrpcSidecar) -> None:
    """A start waits for a worker as long as its caller does, and nothing is kept before."""
    request = m.StartWorkflowRequest(instance_id="ä-1_", workflow_name="w")
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await sidecar.stub.StartWorkflowBeta1(request, timeout=0.5)
    assert raised.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    found = await sidecar.stub.GetWorkflowBeta1(m.GetWorkflowRequest(instance_id="ä-1_"))
    assert found == m.GetWorkflowResponse(instance_id="ä-1_")
