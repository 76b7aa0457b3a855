"""The client's jobs: what is asked for, what is refused before, and what comes back."""

import math
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daprflow import Client, ConstantFailurePolicy, DropFailurePolicy, Job, SidecarError
from daprflow.client.jobs import ScheduledJob, ScheduleOptions, request_of
from daprflow.handlers.codecs import NO_CODECS
from daprflow.policies import FailurePolicy, decode_policy
from daprflow.protocol.jobs import read_job
from daprflow.sidecar.http_api.app import HttpApi
from daprflow.sidecar.job_plan import plan_of
from daprflow.testing.transport import InProcessTransport
from tests.helpers.sidecar import in_process_sidecar

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


class Limits(msgspec.Struct):
    daily: int


report = Job("report", Limits)
sweep = Job("sweep", None)

seconds = st.timedeltas(timedelta(milliseconds=1), timedelta(days=3650))
policies = st.none() | st.just(DropFailurePolicy()) | st.builds(
    ConstantFailurePolicy, seconds, st.none() | st.integers(0, 2**32 - 1)
)  # fmt: skip


@given(
    due=seconds,
    every=seconds,
    ttl=st.none() | seconds,
    repeats=st.none() | st.integers(1, 2**32 - 1),
    policy=policies,
)
def test_what_is_asked_for_is_what_is_planned(
    due: timedelta,
    every: timedelta,
    ttl: timedelta | None,
    repeats: int | None,
    policy: FailurePolicy | None,
) -> None:
    """The sidecar reads from the client's body the very job that was asked for."""
    options = ScheduleOptions(
        due=due, every=every, ttl=ttl, repeats=repeats, failure_policy=policy, overwrite=True
    )
    read = read_job(msgspec.json.encode(request_of(None, options, NO_CODECS)))
    now = NOON.timestamp()
    plan = plan_of(read, now)
    assert math.isclose(plan.begin, now + due.total_seconds(), abs_tol=1e-5)
    assert getattr(plan.schedule, "period", None) == every
    assert plan.repeats == repeats
    if ttl is None:
        assert plan.expires is None
    else:
        assert plan.expires is not None
        assert math.isclose(plan.expires, plan.begin + ttl.total_seconds(), abs_tol=1e-4)
    assert decode_policy(read.failure_policy) == (policy or ConstantFailurePolicy())
    assert read.overwrite


@given(data=st.none() | st.integers() | st.text() | st.lists(st.booleans()))
def test_data_is_sent_as_json(data: object) -> None:
    """The sidecar reads the very data, and none where there is none."""
    read = read_job(msgspec.json.encode(request_of(data, {"due": SECOND}, NO_CODECS)))
    sent = None if read.data is msgspec.UNSET else msgspec.json.decode(read.data)
    assert sent == data


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({}, "'due', 'every' or both"),
        ({"due": SECOND, "ttl": SECOND}, "'ttl' means nothing"),
        ({"due": SECOND, "repeats": 2}, "one tick, not 2"),
        ({"every": "@daily", "repeats": 0}, "takes 1 to 4294967295"),
        ({"every": "0 3 * * *"}, "has 5 fields; a job's has six"),
        ({"every": "@fortnightly"}, "not known"),
        ({"every": "0 0 25 * * *"}, "hour '25' is not allowed"),
        ({"every": timedelta(0)}, "at least 1us"),
        ({"every": "CRON_TZ=Moon/Sea 0 0 3 * * *"}, "time zone 'Moon/Sea'"),
        ({"due": -SECOND}, "it takes 0 to 105850 days"),
        ({"due": timedelta.max}, "it takes 0 to 105850 days"),
        ({"due": datetime(2026, 5, 1)}, "without a time zone"),  # noqa: DTZ001 - the point
        ({"every": "1h", "due": NOON, "ttl": datetime(2030, 5, 1)}, "without a time zone"),  # noqa: DTZ001 - the point
        ({"every": "1h", "due": NOON, "ttl": NOON - SECOND}, "before it is due"),
        ({"due": SECOND, "failure_policy": ConstantFailurePolicy(-SECOND)}, "interval"),
        ({"due": SECOND, "failure_policy": ConstantFailurePolicy(SECOND, -1)}, "max_retries"),
    ],
)
def test_what_is_refused_before_it_is_sent(options: ScheduleOptions, reason: str) -> None:
    """What could never be scheduled is told at once, with the part that is wrong."""
    with pytest.raises(ValueError, match=reason):
        request_of(None, options, NO_CODECS)


def test_a_moment_of_another_type_is_named() -> None:
    """Text where a moment belongs is told as such, with what it takes."""
    options = cast("ScheduleOptions", {"due": "soon"})
    with pytest.raises(TypeError, match=r"due is a timedelta or a datetime, not .* 'str'"):
        request_of(None, options, NO_CODECS)


@pytest.mark.parametrize(
    ("every", "text"),
    [
        ("15m", "@every 15m"),
        (" @daily ", "@daily"),
        (timedelta(minutes=2), "@every 120s"),
        (timedelta(milliseconds=1500), "@every 1.5s"),
        ("0 0 3 * * MON", "0 0 3 * * MON"),
    ],
)
def test_schedules(every: str | timedelta, text: str) -> None:
    """An interval may be a timedelta or a bare duration; a rule goes as it is written."""
    assert request_of(None, {"every": every}, NO_CODECS).schedule == text


async def test_a_job_and_back(tmp_path: Path) -> None:
    """What was scheduled is told again, its data typed, by handle or by name, until it is gone."""
    async with (
        in_process_sidecar(tmp_path, {}) as sidecar,
        Client(transport=InProcessTransport(HttpApi(sidecar.runtime))) as client,
    ):
        policy = ConstantFailurePolicy(timedelta(seconds=90), None)
        await client.schedule(
            report, Limits(3), every="1h", due=NOON, repeats=5, failure_policy=policy
        )
        expected = ScheduledJob(
            "report", "@every 1h", "2026-05-01T12:00:00Z", None, 5, Limits(3), policy
        )
        assert await client.job(report) == expected
        assert await client.job("report", Limits) == expected
        untyped = await client.job("report")
        assert untyped is not None
        assert untyped.data == {"daily": 3}
        with pytest.raises(msgspec.ValidationError, match="the data of job 'report' is not 'str'"):
            await client.job("report", str)
        await client.delete_job(report)
        await client.delete_job("report")
        assert await client.job(report) is None


async def test_a_job_without_data(tmp_path: Path) -> None:
    """No data is told as None."""
    async with (
        in_process_sidecar(tmp_path, {}) as sidecar,
        Client(transport=InProcessTransport(HttpApi(sidecar.runtime))) as client,
    ):
        await client.schedule(sweep, every="@daily", failure_policy=DropFailurePolicy())
        found = await client.job(sweep)
        assert found is not None
        assert (found.data, found.failure_policy) == (None, DropFailurePolicy())


async def test_a_name_that_is_taken(tmp_path: Path) -> None:
    """A second job of one name is refused with what to do; 'overwrite' replaces."""
    async with (
        in_process_sidecar(tmp_path, {}) as sidecar,
        Client(transport=InProcessTransport(HttpApi(sidecar.runtime))) as client,
    ):
        await client.schedule("a", 1, due=SECOND)
        with pytest.raises(SidecarError, match="overwrite=True") as caught:
            await client.schedule("a", 2, due=SECOND)
        assert caught.value.status == 409
        await client.schedule("a", 2, due=SECOND, overwrite=True)
        found = await client.job("a")
        assert found is not None
        assert found.data == 2


async def test_names_are_checked() -> None:
    """A name that no job can have is refused before anything is sent."""
    client = Client()
    with pytest.raises(ValueError, match="'a/b' cannot be a job's name: it holds '/'"):
        await client.schedule("a/b", due=SECOND)
    with pytest.raises(ValueError, match="it is empty"):
        await client.delete_job("")
