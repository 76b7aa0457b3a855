"""Standing jobs: placed when missing, replaced when changed, left alone otherwise."""

import asyncio
import logging
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from starlette.requests import Request
from starlette.responses import Response

from daprflow import Client, ConstantFailurePolicy, DaprFlow, DropFailurePolicy
from daprflow.client import standing
from daprflow.protocol.jobs import (
    DEFAULT_POLICY,
    Constant,
    Drop,
    FailurePolicy,
    JobData,
    JobDescription,
    JobRequest,
)
from daprflow.settings import Settings
from daprflow.testing import TestSidecar
from daprflow.testing.transport import InProcessTransport
from tests.helpers.small_sidecar import SmallSidecar

PATH = "/v1.0-alpha1/jobs/report"
MISSING = Response(
    b'{"errorCode":"DAPR_SCHEDULER_GET_JOB","message":"failed to get job due to: rpc error: '
    b'code = NotFound desc = job not found: report"}',
    500,
)


def raw(text: str) -> msgspec.Raw:
    """Return JSON as it stands."""
    return msgspec.Raw(text.encode())


WANTED = JobRequest(schedule="@daily", data=raw('{"a":1,"b":2.0}'), overwrite=True)
FOUND = JobDescription(
    "report", "@daily", data=JobData(value=raw('{"b":2, "a":1}')), failure_policy=DEFAULT_POLICY
)


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({}, True),
        ({"failure_policy": None}, True),
        ({"failure_policy": FailurePolicy(constant=Constant("1.000s", 3))}, True),
        ({"schedule": "@hourly"}, False),
        ({"due_time": "5s"}, False),
        ({"ttl": "5h"}, False),
        ({"repeats": 5}, False),
        ({"data": msgspec.UNSET}, False),
        ({"data": JobData(value=raw('{"a":1,"b":3}'))}, False),
        ({"data": JobData("type.googleapis.com/x", raw('{"a":1,"b":2.0}'))}, False),
        ({"failure_policy": FailurePolicy(drop=Drop())}, False),
        ({"failure_policy": FailurePolicy(constant=Constant("1s"))}, False),
    ],
)
def test_what_counts_as_the_same(changes: dict[str, Any], *, same: bool) -> None:
    """However a runtime writes numbers, keys and durations, only what they mean counts."""
    found = msgspec.structs.replace(FOUND, **changes)
    assert standing.is_as_wanted(found, WANTED) is same


def test_large_numbers_are_the_same() -> None:
    """A runtime keeps numbers as 64-bit floats; what that rounds is no change."""
    wanted = JobRequest(schedule="@daily", data=raw("12345678901234567890"))
    found = JobDescription("a", "@daily", data=JobData(value=raw("1.2345678901234567e+19")))
    assert standing.is_as_wanted(found, wanted)


class InTurn(SmallSidecar):
    """Gives its answers in turn, whatever is asked."""

    def __init__(self, *turns: Response) -> None:
        super().__init__()
        self.turns = list(turns)

    async def answer(self, request: Request) -> Response:
        """Answer a request; the last answer stays."""
        usual = await super().answer(request)
        if request.url.path.endswith("/healthz/outbound"):
            return usual
        return self.turns.pop(0) if len(self.turns) > 1 else self.turns[0]


async def test_what_is_sent() -> None:
    """A missing job is asked for, then scheduled by the route that every runtime with jobs has."""
    sidecar = InTurn(MISSING, Response(status_code=204))
    async with Client(transport=InProcessTransport(sidecar)) as client:
        await standing.keep(client, {"report": WANTED})
    assert [(method, path) for method, path, _ in sidecar.requests] == [
        ("GET", PATH),
        ("POST", PATH),
    ]
    assert msgspec.json.decode(sidecar.requests[1][2]) == {
        "schedule": "@daily",
        "data": {"a": 1, "b": 2.0},
        "overwrite": True,
    }


async def test_an_unchanged_job_is_left_alone(sidecar: SmallSidecar, client: Client) -> None:
    """A job that is as wanted is not scheduled again: that would begin its interval anew."""
    sidecar.answers[PATH] = Response(msgspec.json.encode(FOUND))
    await standing.keep(client, {"report": WANTED})
    assert [method for method, _, _ in sidecar.requests] == ["GET"]


async def test_what_is_refused_for_good(
    sidecar: SmallSidecar, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    """A refusal that no waiting helps is told once, and the other jobs are placed all the same."""
    body = b'{"errorCode":"ERR_API_UNIMPLEMENTED","message":"no"}'
    sidecar.answers[PATH] = Response(body, 501)
    sidecar.answers["/v1.0-alpha1/jobs/other"] = Response(msgspec.json.encode(FOUND))
    with caplog.at_level(logging.ERROR, "daprflow.client.standing"):
        await standing.keep(client, {"report": WANTED, "other": WANTED})
    assert [record.getMessage()[:36] for record in caplog.records] == [
        "job 'report' cannot be scheduled: no"
    ]


@pytest.mark.row("FA-02")
async def test_a_sidecar_that_recovers(caplog: pytest.LogCaptureFixture) -> None:
    """A refusal that may pass is told once and tried again until it has."""
    refusal = Response(b'{"errorCode":"X","message":"no scheduler"}', 500)
    sidecar = InTurn(refusal, refusal, Response(msgspec.json.encode(FOUND)))
    with caplog.at_level(logging.WARNING, "daprflow.client.standing"):
        async with Client(transport=InProcessTransport(sidecar)) as client:
            await standing.keep(client, {"report": WANTED}, 0.001)
    assert len(caplog.records) == 1
    assert "no scheduler" in caplog.records[0].getMessage()
    assert len(sidecar.requests) == 3


async def nothing() -> None: ...


async def test_from_start_to_start() -> None:
    """What the code says of a job is what the sidecar has after each start of the app."""
    policy = ConstantFailurePolicy(timedelta(minutes=1), None)
    every: tuple[dict[str, Any], ...] = (
        {"schedule": "@daily"},
        {"schedule": "0 0 3 * * *"},
        {"schedule": "0 0 3 * * *", "failure_policy": DropFailurePolicy()},
        {"schedule": "0 0 3 * * *", "failure_policy": policy},
    )
    for options in every:
        app = DaprFlow("shop")
        app.job("a", **options)(nothing)
        async with TestSidecar(app) as dapr:
            found = await dapr.client.job("a")
            assert found is not None
            assert found.schedule == options["schedule"]
            assert found.failure_policy == options.get("failure_policy", ConstantFailurePolicy())


async def test_an_app_starts_without_a_sidecar() -> None:
    """Jobs are placed beside the start, and an app that ends first gives up placing them."""
    app = DaprFlow("shop", settings=Settings(http_endpoint="http://127.0.0.1:1"))
    app.job("a", schedule="@daily")(nothing)
    async with app.lifespan():
        waiting = asyncio.create_task(app.jobs_scheduled())
        await asyncio.sleep(0)
        assert not waiting.done()
    with pytest.raises(RuntimeError, match="ended before its jobs were scheduled"):
        await waiting
