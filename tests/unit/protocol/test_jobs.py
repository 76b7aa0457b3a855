"""Jobs on the wire: what is written is read as the same, and as protobuf's JSON says."""

import msgspec
import pytest

from daprflow.protocol import jobs
from daprflow.protocol.jobs import Constant, Drop, FailurePolicy, JobRequest, read_job
from daprflow.protocol.protojson import ProtoJsonError


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", JobRequest()),
        (b"{}", JobRequest()),
        (b'{"dueTime":"1s","unknown":1}', JobRequest(due_time="1s")),
        (b'{"due_time":"1s","failure_policy":{"drop":{}}}',
         JobRequest(due_time="1s", failure_policy=FailurePolicy(drop=Drop()))),
        (b'{"schedule":"@daily","repeats":"2","overwrite":true,"ttl":null}',
         JobRequest(schedule="@daily", repeats=2, overwrite=True)),
        (b'{"failurePolicy":{"constant":{"interval":"1.5s","maxRetries":3}}}',
         JobRequest(failure_policy=FailurePolicy(constant=Constant("1.5s", 3)))),
        (b'{"data": [1, {"a": null}] }', JobRequest(data=msgspec.Raw(b'[1, {"a": null}]'))),
        (b'{"data":null}', JobRequest(data=msgspec.Raw(b"null"))),
    ],
)  # fmt: skip
def test_bodies(body: bytes, expected: JobRequest) -> None:
    """Names come in two forms, numbers as text, and data is whatever JSON it is."""
    assert read_job(body) == expected


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"{",
        b'{"repeats":-1}',
        b'{"repeats":4294967296}',
        b'{"schedule":5}',
        b'{"failurePolicy":{"drop":{},"constant":{}}}',
        b'{"failurePolicy":[]}',
    ],
)
def test_bad_bodies(body: bytes) -> None:
    """What is no such message is refused."""
    with pytest.raises(ProtoJsonError):
        read_job(body)


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("report", ""),
        ("Nightly report: shop_1", ""),
        ("ä||b", ""),
        ("a" * 512, ""),
        ("", "it is empty"),
        ("a" * 513, "longer than 512"),
        ("a/b", "it holds '/'"),
        ("a\\b", r"it holds '\\\\'"),
        ("a#b", "it holds '#'"),
        ("a?b", "it holds '?'"),
        ("a\nb", r"it holds '\\n'"),
        ("a\x7fb", r"it holds '\\x7f'"),
    ],
)
def test_names(name: str, problem: str) -> None:
    """A job's name is part of a path and of a key."""
    found = jobs.name_problem(name)
    assert problem.replace("\\\\", "\\") in found
    assert bool(found) == bool(problem)


def test_description_of_a_real_runtime() -> None:
    """What a real runtime tells of a job is read with its data as it stands."""
    found = jobs.read_description(
        b'{"name":"j3", "dueTime":"2h", "data":{"@type":'
        b'"type.googleapis.com/google.protobuf.Value", "value":{"a":1}},'
        b' "failurePolicy":{"constant":{"interval":"1s", "maxRetries":3}}}'
    )
    assert (found.name, found.due_time, found.schedule) == ("j3", "2h", None)
    assert found.failure_policy == jobs.DEFAULT_POLICY
    assert found.data == jobs.JobData(value=msgspec.Raw(b'{"a":1}'))
