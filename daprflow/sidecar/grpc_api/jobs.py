"""The methods of jobs: schedule, get, list and delete."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from daprflow.protocol import messages
from daprflow.protocol.job_messages import data_of, with_data
from daprflow.protocol.jobs import Constant, Drop, FailurePolicy, JobRequest
from daprflow.sidecar.grpc_api.call import GrpcCall, Method

if TYPE_CHECKING:
    from daprflow.sidecar.job_store import StoredJob


async def _schedule(
    call: GrpcCall, request: messages.ScheduleJobRequest
) -> messages.ScheduleJobResponse:
    block = call.runtime.jobs
    if not request.HasField("job"):
        raise block.empty("Job")
    asked = request.job
    job = JobRequest(
        schedule=asked.schedule if asked.HasField("schedule") else None,
        repeats=asked.repeats if asked.HasField("repeats") else None,
        due_time=asked.due_time if asked.HasField("due_time") else None,
        ttl=asked.ttl if asked.HasField("ttl") else None,
        overwrite=request.overwrite,
        failure_policy=policy_of(asked.failure_policy),
    )
    if asked.HasField("data"):
        job = with_data(job, asked.data)
    await block.schedule(asked.name, job)
    return messages.ScheduleJobResponse()


async def _get(call: GrpcCall, request: messages.GetJobRequest) -> messages.GetJobResponse:
    return messages.GetJobResponse(job=_told(call.runtime.jobs.find(request.name)))


async def _delete(call: GrpcCall, request: messages.DeleteJobRequest) -> messages.DeleteJobResponse:
    await call.runtime.jobs.delete(request.name)
    return messages.DeleteJobResponse()


async def _delete_all(
    call: GrpcCall, request: messages.DeleteJobsByPrefixRequestAlpha1
) -> messages.DeleteJobsByPrefixResponseAlpha1:
    await call.runtime.jobs.delete_all(request.name_prefix)
    return messages.DeleteJobsByPrefixResponseAlpha1()


async def _list(
    call: GrpcCall, _request: messages.ListJobsRequestAlpha1
) -> messages.ListJobsResponseAlpha1:
    return messages.ListJobsResponseAlpha1(jobs=[_told(each) for each in call.runtime.jobs.all()])


def policy_of(asked: messages.JobFailurePolicy) -> FailurePolicy | None:
    """Return a failure policy as it is kept; None where none is named."""
    kind = asked.WhichOneof("policy")
    if kind is None:
        return None
    if kind == "drop":
        return FailurePolicy(drop=Drop())
    constant = asked.constant
    return FailurePolicy(
        constant=Constant(
            constant.interval.ToJsonString() if constant.HasField("interval") else "",
            constant.max_retries if constant.HasField("max_retries") else None,
        )
    )


def _told(stored: "StoredJob") -> messages.Job:
    job = stored.job
    return messages.Job(
        name=stored.name,
        schedule=job.schedule,
        repeats=job.repeats,
        due_time=job.due_time,
        ttl=job.ttl,
        data=data_of(job),
        failure_policy=_told_policy(job.failure_policy),
    )


def _told_policy(policy: FailurePolicy | None) -> messages.JobFailurePolicy | None:
    if policy is None:
        return None
    if policy.constant is None:
        return messages.JobFailurePolicy(drop=messages.JobFailurePolicyDrop())
    constant = messages.JobFailurePolicyConstant(max_retries=policy.constant.max_retries)
    if policy.constant.interval:
        constant.interval.FromJsonString(policy.constant.interval)
    return messages.JobFailurePolicy(constant=constant)


_SCHEDULE = Method(_schedule, messages.ScheduleJobRequest, whole=True)
_GET = Method(_get, messages.GetJobRequest)
_DELETE = Method(_delete, messages.DeleteJobRequest, whole=True)
# The messages of both versions have the same fields.
_DELETE_ALL = Method(_delete_all, messages.DeleteJobsByPrefixRequestAlpha1, whole=True)
_LIST = Method(_list, messages.ListJobsRequestAlpha1)

METHODS: Mapping[str, Method] = {
    "ScheduleJob": _SCHEDULE,
    "ScheduleJobAlpha1": _SCHEDULE,
    "GetJob": _GET,
    "GetJobAlpha1": _GET,
    "DeleteJob": _DELETE,
    "DeleteJobAlpha1": _DELETE,
    "DeleteJobsByPrefix": _DELETE_ALL,
    "DeleteJobsByPrefixAlpha1": _DELETE_ALL,
    "ListJobs": _LIST,
    "ListJobsAlpha1": _LIST,
}
