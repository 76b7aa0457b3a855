"""The service of workers over a socket, and the same workflows through Dapr's own API."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from daprflow.protocol import messages as m
from daprflow.protocol import workflow_messages as wf
from daprflow.protocol.http import HttpRequest
from tests.helpers.chain_worker import SERVICE, ChainWorker, call
from tests.helpers.grpc_calls import refusal
from tests.helpers.grpc_sidecar import GrpcSidecar, grpc_sidecar
from tests.helpers.timing import eventually

WORKFLOWS = "/v1.0/workflows/dapr"


@pytest.fixture
async def sidecar(tmp_path: Path) -> AsyncIterator[GrpcSidecar]:
    """A sidecar."""
    async with grpc_sidecar(tmp_path, {}) as running:
        yield running


@contextlib.asynccontextmanager
async def working(sidecar: GrpcSidecar) -> AsyncIterator[None]:
    """Run a worker of chains."""
    work = asyncio.create_task(ChainWorker(sidecar.port).run())
    await eventually(lambda: sidecar.inner.runtime.workflows.connected_workers == 1)
    try:
        yield
    finally:
        work.cancel()
        await asyncio.wait({work})


async def http(sidecar: GrpcSidecar, method: str, path: str, body: bytes = b"") -> tuple[int, Any]:
    """Call the HTTP API."""
    request = HttpRequest(method, f"{WORKFLOWS}{path}", (), body)
    response = await sidecar.inner.exchange.send(request)
    return response.status, json.loads(response.body)


def chain(instance_id: str) -> wf.CreateInstanceRequest:
    """Return the request of a chain with two activities."""
    request = wf.CreateInstanceRequest(instanceId=instance_id, name="chain")
    request.input.value = "2"
    return request


async def test_a_stream_ends_with_the_sidecar(sidecar: GrpcSidecar) -> None:
    """Workers are told that the sidecar ends, and until then it tells how many there are."""
    stream = sidecar.channel.unary_stream(
        f"{SERVICE}GetWorkItems",
        request_serializer=wf.GetWorkItemsRequest.SerializeToString,
        response_deserializer=wf.WorkItem.FromString,
    )(wf.GetWorkItemsRequest())
    block = sidecar.inner.runtime.workflows
    await eventually(lambda: block.connected_workers == 1)
    found = await sidecar.stub.GetMetadata(m.GetMetadataRequest())
    assert found.workflows.connected_workers == 1
    await block.close()
    assert await stream.code() is grpc.StatusCode.CANCELLED
    assert await stream.details() == "shutting down"
    await eventually(lambda: block.connected_workers == 0)


async def test_calls_without_a_worker_give_up(sidecar: GrpcSidecar) -> None:
    """They wait for five seconds of the engine's time."""
    raising = asyncio.create_task(
        refusal(call(sidecar.channel, "RaiseEvent", wf.RaiseEventRequest(instanceId="a", name="e")))
    )
    await sidecar.inner.until(raising.done)
    found = await raising
    assert found.code == "FAILED_PRECONDITION"
    assert "did not find address for actor 'dapr.internal.default." in found.text


async def test_purging_many_is_refused(sidecar: GrpcSidecar) -> None:
    """Instances are purged one by one, as the real runtime has it."""
    request = wf.PurgeInstancesRequest()
    request.purgeInstanceFilter.SetInParent()
    found = await refusal(call(sidecar.channel, "PurgeInstances", request))
    assert (found.code, found.text) == ("UNKNOWN", "multi-instance purge is not unimplemented")


async def test_a_missing_instance(sidecar: GrpcSidecar) -> None:
    """To look for what is not there is no error."""
    answer = await call(sidecar.channel, "GetInstance", wf.GetInstanceRequest(instanceId="none"))
    assert answer == wf.GetInstanceResponse()


async def test_the_life_of_an_instance_over_http(sidecar: GrpcSidecar) -> None:
    """An instance is started, looked at and purged; its state has what it was given and gave."""
    async with working(sidecar):
        started = await http(sidecar, "POST", "/chain/start?instanceID=i1", b"2")
        assert started == (202, {"instanceID": "i1"})
        await call(
            sidecar.channel, "WaitForInstanceCompletion", wf.GetInstanceRequest(instanceId="i1")
        )
        status, state = await http(sidecar, "GET", "/i1")
        assert status == 200
        assert state.pop("createdAt") <= state.pop("lastUpdatedAt")
        assert state == {
            "instanceID": "i1",
            "workflowName": "chain",
            "runtimeStatus": "COMPLETED",
            "properties": {"dapr.workflow.input": "2", "dapr.workflow.output": "1,2"},
        }
        assert await http(sidecar, "POST", "/i1/purge") == (202, {})
        assert (await http(sidecar, "GET", "/i1"))[0] == 404


async def test_steering_an_instance_over_http(sidecar: GrpcSidecar) -> None:
    """Events, pauses and ends are accepted at once, and refused where there is no instance."""
    async with working(sidecar):
        request = chain("i1")
        request.input.value = "-1"  # never reached
        await call(sidecar.channel, "StartInstance", request)
        for action in ("raiseEvent/go", "pause", "resume", "terminate"):
            assert await http(sidecar, "POST", f"/i1/{action}", b"1") == (202, {})
        await call(
            sidecar.channel, "WaitForInstanceCompletion", wf.GetInstanceRequest(instanceId="i1")
        )
        assert (await http(sidecar, "GET", "/i1"))[1]["runtimeStatus"] == "TERMINATED"
        missing = {
            action: (await http(sidecar, "POST", f"/none/{action}", b"1"))[1]["errorCode"]
            for action in ("raiseEvent/go", "pause", "resume", "terminate", "purge")
        }
    assert missing == {
        "raiseEvent/go": "ERR_RAISE_EVENT_WORKFLOW",
        "pause": "ERR_PAUSE_WORKFLOW",
        "resume": "ERR_RESUME_WORKFLOW",
        "terminate": "ERR_INSTANCE_ID_NOT_FOUND",
        "purge": "ERR_INSTANCE_ID_NOT_FOUND",
    }


async def test_an_event_that_is_no_text(sidecar: GrpcSidecar) -> None:
    """The payload of an event is text in UTF-8, as with a real runtime."""
    async with working(sidecar):
        status, body = await http(sidecar, "POST", "/w1/raiseEvent/go", b"\xff")
    assert (status, body["errorCode"]) == (500, "ERR_RAISE_EVENT_WORKFLOW")
    assert body["message"] == (
        "error raising event on workflow 'w1': failed to raise event go on workflow w1: "
        "failed to raise event: string field contains invalid UTF-8"
    )


async def test_an_id_in_use_over_dapr_s_api(sidecar: GrpcSidecar) -> None:
    """A start with an id in use is tried again for three seconds, then refused."""
    async with working(sidecar):
        request = chain("i1")
        request.input.value = "-1"
        await call(sidecar.channel, "StartInstance", request)
        wanted = m.StartWorkflowRequest(instance_id="i1", workflow_name="chain", input=b"1")
        starting = asyncio.create_task(refusal(sidecar.stub.StartWorkflowBeta1(wanted)))
        began = sidecar.inner.clock.now()
        await sidecar.inner.until(starting.done)
        found = await starting
    assert round(sidecar.inner.clock.now() - began) == 3
    assert found.code == "INTERNAL"
    assert found.text == (
        "error starting workflow 'chain': unable to start workflow: failed to start workflow: "
        "rpc error: code = AlreadyExists desc = an active workflow with ID 'i1' already exists"
    )


async def test_a_start_in_the_future_over_dapr_s_api(sidecar: GrpcSidecar) -> None:
    """An option says when an instance begins; what is no time is refused."""
    async with working(sidecar):
        wanted = m.StartWorkflowRequest(
            instance_id="i1",
            workflow_name="chain",
            input=b"1",
            options={"dapr.workflow.start_time": "2999-01-01T00:00:00Z"},
        )
        await sidecar.stub.StartWorkflowBeta1(wanted)
        found = await sidecar.stub.GetWorkflowBeta1(m.GetWorkflowRequest(instance_id="i1"))
        assert found.runtime_status == "PENDING"
        wanted.options["dapr.workflow.start_time"] = "soon"
        wanted.instance_id = "i2"
        starting = asyncio.create_task(refusal(sidecar.stub.StartWorkflowBeta1(wanted)))
        await sidecar.inner.until(starting.done)  # three more attempts, a second apart
        assert (await starting).text == (
            "error starting workflow 'chain': start times must be in RFC3339 format "
            '(e.g. "2009-11-10T23:00:00Z")'
        )
        wanted.options.clear()
        wanted.input = b"\xff"
        starting = asyncio.create_task(refusal(sidecar.stub.StartWorkflowBeta1(wanted)))
        await sidecar.inner.until(starting.done)
        assert (await starting).text.endswith("string field contains invalid UTF-8")
