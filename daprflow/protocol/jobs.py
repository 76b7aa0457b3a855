"""Jobs as they cross the wire: what an app schedules, and what its sidecar tells of it."""

from typing import Annotated

import msgspec

from daprflow.protocol.http import JSON, HttpRequest
from daprflow.protocol.operations import segment
from daprflow.protocol.protojson import ProtoJsonError, read_message

Count = Annotated[int, msgspec.Meta(ge=0, le=2**32 - 1)]

LONGEST_NAME = 512
VALUE_TYPE = "type.googleapis.com/google.protobuf.Value"
DEFAULT_INTERVAL = "1s"
DEFAULT_RETRIES = 3
GET_FAULT = "DAPR_SCHEDULER_GET_JOB"
_FORBIDDEN = frozenset("/\\#?")


class Constant(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """Try a failed tick again after ``interval``, a protobuf duration such as ``1.5s``.

    Without ``max_retries`` it is tried for ever.
    """

    interval: str = ""
    max_retries: Count | None = None


class Drop(msgspec.Struct, frozen=True):
    """Give a failed tick up."""


class FailurePolicy(msgspec.Struct, frozen=True, omit_defaults=True):
    """What becomes of a failed tick: one of the two."""

    drop: Drop | None = None
    constant: Constant | None = None


DEFAULT_POLICY = FailurePolicy(constant=Constant(DEFAULT_INTERVAL, DEFAULT_RETRIES))
"""What the runtime does where a job names no policy: four calls in all."""


class JobFields(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """What is asked for a job, without its data."""

    name: str = ""
    schedule: str | None = None
    repeats: Count | None = None
    due_time: str | None = None
    ttl: str | None = None
    overwrite: bool = False
    failure_policy: FailurePolicy | None = None


class PackedData(msgspec.Struct, frozen=True):
    """Data that came over gRPC and is no JSON: the URL of its type, and its bytes."""

    type: str
    value: bytes


class JobRequest(JobFields, frozen=True, omit_defaults=True, rename="camel"):
    """The body of a call that schedules a job; ``data`` is any JSON, unset for none.

    Attributes:
        packed: data that is no JSON, where it came over gRPC; no body of HTTP has it.
    """

    data: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    packed: PackedData | None = None


class JobData(msgspec.Struct, frozen=True, rename={"type": "@type"}):
    """A job's data as the runtime tells it; ``value`` is JSON where ``type`` is `VALUE_TYPE`."""

    type: str = VALUE_TYPE
    value: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class _Described(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """What the runtime tells of a job: everything as it was asked for, the policy filled in."""

    name: str = ""
    schedule: str | None = None
    repeats: Count | None = None
    due_time: str | None = None
    ttl: str | None = None
    failure_policy: FailurePolicy | None = None


class JobDescription(_Described, frozen=True, omit_defaults=True, rename="camel"):
    """What the runtime tells of a job, as it is read."""

    data: JobData | msgspec.UnsetType = msgspec.UNSET


class ToldJob(_Described, frozen=True, omit_defaults=True, rename="camel"):
    """What the runtime tells of a job, as it is written: data with the type that they are of."""

    data: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class _OnlyData(msgspec.Struct):
    data: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_only_data = msgspec.json.Decoder(_OnlyData)
_description = msgspec.json.Decoder(JobDescription)


def read_job(body: bytes) -> JobRequest:
    """Read the body of a call that schedules a job, as protobuf's JSON reader does.

    Raises:
        ProtoJsonError: it is no such body.
    """
    fields = read_message(JobFields, body)
    policy = fields.failure_policy
    if policy is not None and policy.drop is not None and policy.constant is not None:
        raise ProtoJsonError("failurePolicy: only one of drop and constant may be set")
    data = _only_data.decode(body).data if body.strip() else msgspec.UNSET
    asked = {name: getattr(fields, name) for name in JobFields.__struct_fields__}
    return JobRequest(**asked, data=data)


def name_problem(name: str) -> str:
    """Return why ``name`` cannot be a job's; empty where it can."""
    if not name:
        return "it is empty"
    if len(name) > LONGEST_NAME:
        return f"it is longer than {LONGEST_NAME} characters"
    wrong = next((c for c in name if c in _FORBIDDEN or ord(c) < 32 or ord(c) == 127), None)  # noqa: PLR2004 - ASCII's controls
    return "" if wrong is None else f"it holds {wrong!r}"


def schedule_job(name: str, job: JobRequest) -> HttpRequest:
    """Return the request that schedules a job; by the route that every runtime with jobs has."""
    return HttpRequest("POST", _path(name), (("content-type", JSON),), msgspec.json.encode(job))


def get_job(name: str) -> HttpRequest:
    """Return the request that asks for a job."""
    return HttpRequest("GET", _path(name))


def delete_job(name: str) -> HttpRequest:
    """Return the request that deletes a job."""
    return HttpRequest("DELETE", _path(name))


def read_description(body: bytes) -> JobDescription:
    """Read what a runtime tells of a job.

    Raises:
        msgspec.MsgspecError: it is no such document.
    """
    return _description.decode(body)


def _path(name: str) -> str:
    return f"/v1.0-alpha1/jobs/{segment(name)}"
