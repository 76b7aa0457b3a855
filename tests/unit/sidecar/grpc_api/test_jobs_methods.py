"""Jobs over gRPC: data of any type, and what becomes of them over HTTP."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.struct_pb2 import Struct, Value
from google.protobuf.wrappers_pb2 import BytesValue, StringValue

from daprflow.protocol import messages as m
from daprflow.protocol.http import HttpRequest
from daprflow.sidecar.options import RuntimeOptions
from tests.helpers.grpc_calls import refusal
from tests.helpers.grpc_sidecar import GrpcSidecar, grpc_sidecar
from tests.helpers.recording import RecordingApp

VERSIONS = ("", "Alpha1")


@pytest.fixture
def app() -> RecordingApp:
    """An app over HTTP."""
    return RecordingApp()


@pytest.fixture
async def sidecar(tmp_path: Path, app: RecordingApp) -> AsyncIterator[GrpcSidecar]:
    """A sidecar that keeps jobs in a file."""
    async with grpc_sidecar(tmp_path, {}, app, data_dir=tmp_path) as running:
        yield running


def job(name: str = "j", due_time: str = "1h", data: Any = None, **more: Any) -> m.Job:
    """Return a job; ``data`` is a message that is packed."""
    made = m.Job(name=name, due_time=due_time, **more)
    if data is not None:
        made.data.Pack(data)
    return made


async def schedule(sidecar: GrpcSidecar, made: m.Job) -> None:
    """Schedule a job."""
    await sidecar.stub.ScheduleJob(m.ScheduleJobRequest(job=made))


async def got(sidecar: GrpcSidecar, name: str = "j") -> m.Job:
    """Return what is told of a job."""
    answer: m.GetJobResponse = await sidecar.stub.GetJob(m.GetJobRequest(name=name))
    return answer.job


async def got_over_http(sidecar: GrpcSidecar, name: str = "j") -> tuple[int, Any]:
    """Return status and body of the same over HTTP."""
    request = HttpRequest("GET", f"/v1.0/jobs/{name}")
    answer = await sidecar.inner.exchange.send(request)
    return answer.status, json.loads(answer.body)


async def delivered(sidecar: GrpcSidecar, app: RecordingApp) -> bytes:
    """Return what the app is called with when its job is due."""
    await sidecar.inner.until(lambda: any(c.path.startswith("/job/") for c in app.calls))
    return next(call.body for call in app.calls if call.path == "/job/j")


@pytest.mark.row("I-JO")
@pytest.mark.parametrize("version", VERSIONS)
async def test_a_job_is_told_as_it_was_asked_for(sidecar: GrpcSidecar, version: str) -> None:
    """A job comes back with the policy that it gets where it names none; deleted, it is gone."""
    stub = sidecar.stub
    asked = job(schedule="@every 1m", repeats=3, ttl="2h", data=StringValue(value="v"))
    call = getattr(stub, f"ScheduleJob{version}")
    assert await call(m.ScheduleJobRequest(job=asked)) == m.ScheduleJobResponse()
    asked.failure_policy.constant.interval.FromSeconds(1)
    asked.failure_policy.constant.max_retries = 3
    found = await getattr(stub, f"GetJob{version}")(m.GetJobRequest(name="j"))
    assert found.job == asked
    await getattr(stub, f"DeleteJob{version}")(m.DeleteJobRequest(name="j"))
    await getattr(stub, f"DeleteJob{version}")(m.DeleteJobRequest(name="j"))
    missing = await refusal(getattr(stub, f"GetJob{version}")(m.GetJobRequest(name="j")))
    text = "failed to get job due to: rpc error: code = NotFound desc = job not found: j"
    assert (missing.code, missing.text) == ("INTERNAL", text)
    assert missing.info == m.ErrorInfo(
        reason="DAPR_SCHEDULER_GET_JOB",
        domain="dapr.io",
        metadata={"appID": "app1", "namespace": "default"},
    )


@pytest.mark.row("I-JO")
@pytest.mark.parametrize(
    "policy",
    [
        m.JobFailurePolicy(drop=m.JobFailurePolicyDrop()),
        m.JobFailurePolicy(constant=m.JobFailurePolicyConstant(max_retries=2)),
        m.JobFailurePolicy(constant=m.JobFailurePolicyConstant()),
    ],
)
async def test_policies(sidecar: GrpcSidecar, policy: m.JobFailurePolicy) -> None:
    """A policy that a job names is the one it has."""
    await schedule(sidecar, job(failure_policy=policy))
    assert (await got(sidecar)).failure_policy == policy


@pytest.mark.row("I-JO")
@pytest.mark.parametrize("version", VERSIONS)
async def test_jobs_are_listed_and_deleted_by_prefix(sidecar: GrpcSidecar, version: str) -> None:
    """Jobs are listed by name; of those with a prefix none is left, of all with an empty one."""
    for name in ("b1", "a2", "a1"):
        await schedule(sidecar, job(name, data=StringValue(value=name)))
    listing = getattr(sidecar.stub, f"ListJobs{version}")
    deleting = getattr(sidecar.stub, f"DeleteJobsByPrefix{version}")

    async def names() -> list[str]:
        return [each.name for each in (await listing(m.ListJobsRequestAlpha1())).jobs]

    assert await names() == ["a1", "a2", "b1"]
    await deleting(m.DeleteJobsByPrefixRequestAlpha1(name_prefix="a"))
    assert await names() == ["b1"]
    await deleting(m.DeleteJobsByPrefixRequestAlpha1())
    assert await names() == []


@pytest.mark.parametrize(
    ("request_", "code", "reason", "text"),
    [
        (m.ScheduleJobRequest(), "INVALID_ARGUMENT", "DAPR_SCHEDULER_EMPTY", "Job is empty"),
        (
            m.ScheduleJobRequest(job=m.Job(due_time="1s")),
            "INVALID_ARGUMENT",
            "DAPR_SCHEDULER_JOB_NAME_EMPTY",
            "Name is empty",
        ),
        (
            m.ScheduleJobRequest(job=m.Job(name="j")),
            "INVALID_ARGUMENT",
            "DAPR_SCHEDULER_SCHEDULE_EMPTY",
            "Schedule is empty",
        ),
    ],
)
async def test_what_is_missing(
    sidecar: GrpcSidecar, request_: m.ScheduleJobRequest, code: str, reason: str, text: str
) -> None:
    """A job that lacks something is refused, with a reason."""
    found = await refusal(sidecar.stub.ScheduleJob(request_))
    assert found.info is not None
    assert (found.code, found.info.reason, found.text) == (code, reason, text)


@pytest.mark.row("I-JO")
async def test_a_name_is_taken_once(sidecar: GrpcSidecar) -> None:
    """A second job of a name is refused unless it is to replace the first."""
    await schedule(sidecar, job())
    again = m.ScheduleJobRequest(job=job(due_time="2h"))
    found = await refusal(sidecar.stub.ScheduleJob(again))
    assert (found.code, found.text) == (
        "ALREADY_EXISTS",
        (
            "failed to schedule job due to: rpc error: code = AlreadyExists "
            "desc = job already exists: 'app||default||app1||j'"
        ),
    )
    again.overwrite = True
    await sidecar.stub.ScheduleJob(again)
    assert (await got(sidecar)).due_time == "2h"


async def test_json_is_posted_as_json(sidecar: GrpcSidecar, app: RecordingApp) -> None:
    """A ``Value`` is what a job of HTTP has: its JSON is posted, and told of over HTTP."""
    value = Value(struct_value=Struct())
    value.struct_value.update({"a": 1})
    await schedule(sidecar, job(due_time="1s", data=value))
    unpacked = Value()
    assert (await got(sidecar)).data.Unpack(unpacked)
    assert unpacked == value
    status, told = await got_over_http(sidecar)
    kind = "type.googleapis.com/google.protobuf.Value"
    assert (status, told["data"]) == (200, {"@type": kind, "value": {"a": 1}})
    assert await delivered(sidecar, app) == b'{"a":1}'


async def test_a_job_of_http_is_a_value(sidecar: GrpcSidecar) -> None:
    """What was scheduled over HTTP has its JSON as a ``Value`` over gRPC."""
    body = b'{"dueTime": "1h", "data": [1, "x", null]}'
    await sidecar.inner.exchange.send(HttpRequest("POST", "/v1.0/jobs/j", (), body))
    value = Value()
    assert (await got(sidecar)).data.Unpack(value)
    assert [v.WhichOneof("kind") for v in value.list_value.values] == [
        "number_value",
        "string_value",
        "null_value",
    ]


async def test_other_data_are_posted_as_their_bytes(
    sidecar: GrpcSidecar, app: RecordingApp
) -> None:
    """Of any other type the bytes are posted, without blanks around them."""
    made = job(due_time="1s")
    made.data.CopyFrom(m.AnyMessage(type_url="my/type", value=b' {"a": 1}\n'))
    await schedule(sidecar, made)
    assert (await got(sidecar)).data == made.data
    assert await delivered(sidecar, app) == b'{"a": 1}'


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (
            StringValue(value="v"),
            {"@type": "type.googleapis.com/google.protobuf.StringValue", "value": "v"},
        ),
        (
            BytesValue(value=b"\0"),
            {"@type": "type.googleapis.com/google.protobuf.BytesValue", "value": "AA=="},
        ),
        (
            m.GetJobRequest(name="x"),
            {"@type": "type.googleapis.com/dapr.proto.runtime.v1.GetJobRequest", "name": "x"},
        ),
    ],
)
async def test_known_data_are_told_over_http(
    sidecar: GrpcSidecar, data: Any, told: dict[str, str]
) -> None:
    """Over HTTP data of a known type are told in protobuf's JSON."""
    await schedule(sidecar, job(data=data))
    status, found = await got_over_http(sidecar)
    assert (status, found["data"]) == (200, told)


async def test_unknown_data_cannot_be_told_over_http(sidecar: GrpcSidecar) -> None:
    """Over HTTP data of a type that nobody knows are an error; the job is there all the same."""
    made = job()
    made.data.CopyFrom(m.AnyMessage(type_url="type.googleapis.com/my.Type", value=b"\x01"))
    await schedule(sidecar, made)
    text = (
        "failed to encode response as JSON: proto: "
        'google.protobuf.Any: unable to resolve "my.Type": not found'
    )
    body = {"errorCode": "ERR_INTERNAL", "message": text}
    assert await got_over_http(sidecar) == (500, body)
    assert (await got(sidecar)).data == made.data


async def test_data_survive_a_restart(tmp_path: Path) -> None:
    """What is kept of a job holds its data, of whatever type."""
    made = job(data=StringValue(value="v"))
    options = RuntimeOptions("app1")
    async with grpc_sidecar(tmp_path, {}, options=options, data_dir=tmp_path) as sidecar:
        await schedule(sidecar, made)
    async with grpc_sidecar(tmp_path, {}, options=options, data_dir=tmp_path) as sidecar:
        assert (await got(sidecar)).data == made.data
