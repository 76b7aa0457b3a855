"""When the ticks of a job are due."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daprflow.protocol.jobs import Constant, Drop, FailurePolicy, JobRequest
from daprflow.sidecar.job_plan import (
    SHORTEST_PAUSE,
    JobRefused,
    Plan,
    Progress,
    begun,
    caught_up,
    failed,
    plan_of,
    succeeded,
)

NOW = datetime(2026, 5, 1, 12, 0, 30, tzinfo=UTC).timestamp()
MONTH = 30 * 24 * 3600.0


def ticks(job: JobRequest, most: int = 50) -> list[float]:
    """Return when a job's ticks are due, in seconds from now, if every one is done."""
    plan = plan_of(job, NOW)
    progress = begun(plan)
    found: list[float] = []
    while progress is not None and len(found) < most:
        found.append(round(progress.due - NOW, 6))
        progress = succeeded(plan, progress)
    return found


def first(plan: Plan) -> Progress:
    """Return where a job begins that has a tick."""
    progress = begun(plan)
    assert progress is not None
    return progress


@pytest.mark.parametrize(
    ("job", "expected"),
    [
        (JobRequest(due_time="5s"), [5]),
        (JobRequest(due_time="PT5M"), [300]),
        (JobRequest(due_time="2026-05-01T14:01:00+02:00"), [30]),
        (JobRequest(due_time="-5s"), [-5]),
        (JobRequest(due_time="5s", repeats=1), [5]),
        (JobRequest(schedule="@every 10s", repeats=3), [10, 20, 30]),
        (JobRequest(schedule="@every 250ms", repeats=2), [0.25, 0.5]),
        (JobRequest(schedule="@every 10s", due_time="3s", repeats=3), [3, 13, 23]),
        (JobRequest(schedule="TZ=UTC 0 * * * * *", repeats=2), [30, 90]),
        (JobRequest(schedule="TZ=UTC 0 * * * * *", due_time="5s", repeats=3), [5, 30, 90]),
        (JobRequest(schedule="CRON_TZ=UTC @daily", repeats=1), [43170]),
        (JobRequest(schedule="@every 10s", ttl="25s"), [10, 20]),
        (JobRequest(schedule="@every 10s", ttl="20s"), [10, 20]),
        (JobRequest(schedule="@every 10us", repeats=3), [0.001, 0.002, 0.003]),
        (JobRequest(schedule="@every 10s", ttl="5s"), []),
        (JobRequest(schedule="@every 10s", due_time="1m", ttl="15s"), [60, 70]),
        (JobRequest(schedule="@every 10s", ttl="2026-05-01T12:00:41Z"), [10]),
    ],
)
def test_ticks(job: JobRequest, expected: list[float]) -> None:
    """Due time, schedule, repeats and time to live together say when ticks are due."""
    assert ticks(job) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("job", "reason"),
    [
        (
            JobRequest(schedule="* * * * *"),
            r"expected exactly 6 fields, found 5: \[\* \* \* \* \*\]",
        ),
        (JobRequest(schedule="every so often"), "found 3"),
        (JobRequest(schedule=""), "empty spec string"),
        (JobRequest(schedule="@every 0s"), "at least 1us"),
        (JobRequest(schedule="@every soon"), "not a duration"),
        (JobRequest(schedule="CRON_TZ=UTC @every 1m"), "takes no time zone"),
        (JobRequest(schedule="CRON_TZ=Moon/Sea 0 0 * * * *"), "time zone 'Moon/Sea'"),
        (JobRequest(schedule="CRON_TZ=UTC"), "found 0"),
        (JobRequest(schedule="0 0 0 31 2 *"), "never comes due"),
        (JobRequest(due_time="zzz"), "due time format not recognized"),
        (JobRequest(due_time="R3/PT1S"), "repeats not supported"),
        (JobRequest(due_time="1s", repeats=2), "must have a schedule to repeat"),
        (JobRequest(due_time="1s", repeats=0), "greater than 0"),
        (JobRequest(due_time="1s", ttl="1m"), "schedule to have a ttl"),
        (JobRequest(schedule="@daily", ttl="later"), "ttl format not recognized"),
        (JobRequest(schedule="@daily", due_time="1h", ttl="-2h"), "ttl must be greater"),
        (
            JobRequest(due_time="1s", failure_policy=FailurePolicy(constant=Constant("soon"))),
            "not a duration",
        ),
    ],
)
def test_refusals(job: JobRequest, reason: str) -> None:
    """What has no plan is refused for its reason."""
    with pytest.raises(JobRefused, match=reason):
        plan_of(job, NOW)


def retries(policy: FailurePolicy | None, most: int = 10) -> list[float]:
    """Return when a single tick is called if every call fails, in seconds from when it was due."""
    plan = plan_of(JobRequest(due_time="0s", failure_policy=policy), NOW)
    progress: Progress | None = first(plan)
    found: list[float] = []
    while progress is not None and len(found) < most:
        found.append(round(progress.due - NOW, 6))
        progress = failed(plan, progress, progress.due)
    return found


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (None, [0, 1, 2, 3]),
        (FailurePolicy(), [0, 1, 2, 3]),
        (FailurePolicy(drop=Drop()), [0]),
        (FailurePolicy(constant=Constant("2.5s", 2)), [0, 2.5, 5]),
        (FailurePolicy(constant=Constant("1s", 0)), [0]),
        (FailurePolicy(constant=Constant("60s")), [60.0 * n for n in range(10)]),
        (FailurePolicy(constant=Constant("", 1)), [0, SHORTEST_PAUSE]),
    ],
)
def test_failures(policy: FailurePolicy | None, expected: list[float]) -> None:
    """A failed tick is called again as its policy says: three times, one second apart, usually."""
    assert retries(policy) == pytest.approx(expected)


def test_failures_leave_the_schedule_alone() -> None:
    """The tick after one that was given up is due by the schedule, not by the last retry."""
    plan = plan_of(JobRequest(schedule="@every 10s"), NOW)
    progress = first(plan)
    for _ in range(4):
        after = failed(plan, progress, progress.due)
        assert after is not None
        progress = after
    assert progress == Progress(NOW + 20, 1, 0, NOW + 20)


def test_a_late_call_is_retried_from_when_it_was_made() -> None:
    """A tick that was made up for hours later has its retries after that, not at once."""
    plan = plan_of(JobRequest(due_time="0s"), NOW)
    after = failed(plan, first(plan), NOW + 7200)
    assert after is not None
    assert after.due == NOW + 7201


@given(
    period=st.floats(0.001, MONTH),
    away=st.floats(0, 12 * MONTH),
    repeats=st.none() | st.integers(1, 5),
)
def test_missed_ticks_are_made_up_for_once(period: float, away: float, repeats: int | None) -> None:
    """Of missed ticks one is left; the next one is later than now and in step with the first."""
    every = timedelta(seconds=period)
    job = JobRequest(schedule=f"@every {every.total_seconds():.6f}s", repeats=repeats)
    plan = plan_of(job, NOW)
    start = first(plan)
    now = start.due + away
    progress = caught_up(plan, start, now)
    assert (progress.count, progress.due) == (0, start.due)
    assert start.tick <= progress.tick <= now + 1e-5
    after = succeeded(plan, progress)
    if repeats == 1:
        assert after is None
        return
    assert after is not None
    assert after.due > now - 1e-3
    steps = (after.due - start.due) / every.total_seconds()
    assert abs(steps - round(steps)) * every.total_seconds() < 1e-3


def test_missed_dates_are_made_up_for_once() -> None:
    """A calendar rule goes on with its next date after the one tick that makes up."""
    plan = plan_of(JobRequest(schedule="TZ=UTC 0 0 3 * * *"), NOW)
    now = NOW + MONTH
    progress = caught_up(plan, first(plan), now)
    after = succeeded(plan, progress)
    assert after is not None
    assert datetime.fromtimestamp(after.due, UTC) == datetime(2026, 6, 1, 3, tzinfo=UTC)


def test_what_is_not_made_up_for() -> None:
    """A single tick and one that is not due yet stay as they are."""
    single = plan_of(JobRequest(due_time="5s"), NOW)
    assert caught_up(single, first(single), NOW + 100) == first(single)
    rule = plan_of(JobRequest(schedule="@every 10s"), NOW)
    assert caught_up(rule, first(rule), NOW + 5) == first(rule)


def test_a_missed_retry_makes_up_for_the_ticks_after_it() -> None:
    """The retry that was missed keeps its attempts, and the next tick follows now, in step."""
    rule = plan_of(JobRequest(schedule="@every 10s"), NOW)
    retried = failed(rule, first(rule), NOW + 10)
    assert retried is not None
    progress = caught_up(rule, retried, NOW + 105)
    assert (progress.attempts, progress.due) == (1, retried.due)
    after = succeeded(rule, progress)
    assert after is not None
    assert after.due == pytest.approx(NOW + 110)


@given(st.text(max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    """No text in the place of a schedule or a time brings anything but a refusal."""
    for job in (
        JobRequest(schedule=text),
        JobRequest(due_time=text),
        JobRequest(schedule="@daily", ttl=text),
    ):
        try:
            plan = plan_of(job, NOW)
        except JobRefused:
            continue
        begun(plan)
