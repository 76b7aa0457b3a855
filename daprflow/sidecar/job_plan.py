"""When the ticks of a job are due: arithmetic alone, without a clock or a store."""

from dataclasses import dataclass

from daprflow.protocol.jobs import DEFAULT_POLICY, FailurePolicy, JobRequest
from daprflow.protocol.moments import parse_moment
from daprflow.protocol.schedules import (
    Cron,
    Every,
    FieldCountError,
    ScheduleError,
    parse_duration,
    parse_job_schedule,
)
from daprflow.sidecar.schedule import next_due

SHORTEST_PAUSE = 0.01
"""Seconds at least between a failed call and the next, also where a policy says none."""


class JobRefused(ValueError):  # noqa: N818 - named for what happened
    """A job cannot be scheduled; the text is the runtime's where one was recorded."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Seconds between calls of a failed tick, and how many follow the first; None is no limit."""

    pause: float
    limit: int | None


@dataclass(frozen=True, slots=True)
class Plan:
    """What was asked for, with every time as epoch seconds.

    Attributes:
        schedule: when ticks follow; None for a single one.
        begin: the due time, or when it was scheduled where none is given.
        at_begin: whether a due time is given, so that the first tick is at ``begin``.
        expires: no tick is after this.
        repeats: how many ticks there are.
        retry: None gives a failed tick up at once.
    """

    schedule: Every | Cron | None
    begin: float
    at_begin: bool
    expires: float | None
    repeats: int | None
    retry: Retry | None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job has come.

    Attributes:
        tick: when the tick that comes next is due by the schedule.
        count: ticks that are done or given up.
        attempts: failed calls of the next tick.
        due: when to make the next call.
    """

    tick: float
    count: int
    attempts: int
    due: float


def plan_of(job: JobRequest, scheduled: float) -> Plan:
    """Return the plan of a job that was asked for at ``scheduled``, epoch seconds.

    Raises:
        JobRefused: it has no such plan.
    """
    try:
        return _plan(job, scheduled)
    except FieldCountError as error:
        fields = " ".join(error.fields)
        text = f"expected exactly 6 fields, found {len(error.fields)}: [{fields}]"
        raise JobRefused(text) from None
    except (ScheduleError, OverflowError) as error:
        raise JobRefused(str(error)) from None


def begun(plan: Plan) -> Progress | None:
    """Return where a job starts; None where no tick is ever due."""
    tick = _tick_after(plan, 0, None)
    return None if tick is None else Progress(tick, 0, 0, tick)


def succeeded(plan: Plan, progress: Progress) -> Progress | None:
    """Return what follows a tick that is done; None where nothing does."""
    tick = _tick_after(plan, progress.count + 1, progress.tick)
    return None if tick is None else Progress(tick, progress.count + 1, 0, tick)


def failed(plan: Plan, progress: Progress, started: float) -> Progress | None:
    """Return what follows a failed call that began at ``started``; None where nothing does."""
    attempts = progress.attempts + 1
    retry = plan.retry
    if retry is None or (retry.limit is not None and attempts > retry.limit):
        return succeeded(plan, progress)
    due = max(progress.due, started) + max(retry.pause, SHORTEST_PAUSE)
    return Progress(progress.tick, progress.count, attempts, due)


def caught_up(plan: Plan, progress: Progress, now: float) -> Progress:
    """Return ``progress`` with every missed tick but one left out; that one is due now.

    Where a tick was being retried, it is the one.
    """
    if plan.schedule is None or progress.due >= now:
        return progress
    tick = now
    if isinstance(plan.schedule, Every):  # the following ticks stay in step
        period = plan.schedule.period.total_seconds()
        tick = progress.tick + (now - progress.tick) // period * period
    return Progress(tick, progress.count, progress.attempts, progress.due)


def _tick_after(plan: Plan, count: int, last: float | None) -> float | None:
    if plan.repeats is not None and count >= plan.repeats:
        return None
    if last is None and (plan.at_begin or plan.schedule is None):
        tick = plan.begin
    elif plan.schedule is None:
        return None
    else:
        try:
            tick = next_due(plan.schedule, plan.begin if last is None else last)
        except (ScheduleError, OverflowError):
            return None  # beyond the end of the calendar
    return None if plan.expires is not None and tick > plan.expires else tick


def _plan(job: JobRequest, scheduled: float) -> Plan:
    if job.schedule is None and (job.repeats or 0) > 1:
        raise JobRefused("job must have a schedule to repeat")
    if job.repeats == 0:
        raise JobRefused("defined repeats must be greater than 0")
    if job.schedule is None and job.ttl is not None:
        raise JobRefused("job must have a schedule to have a ttl")
    schedule = None if job.schedule is None else _schedule(job.schedule, scheduled)
    begin = scheduled if job.due_time is None else parse_moment(job.due_time, scheduled)
    return Plan(
        schedule=schedule,
        begin=begin,
        at_begin=job.due_time is not None,
        expires=None if job.ttl is None else _expiry(job, begin),
        repeats=job.repeats,
        retry=_retry(job.failure_policy),
    )


def _schedule(text: str, scheduled: float) -> Every | Cron:
    if not text.strip():
        raise JobRefused("empty spec string")
    schedule = parse_job_schedule(text)
    next_due(schedule, scheduled)  # refuses a date that never comes
    return schedule


def _expiry(job: JobRequest, begin: float) -> float:
    try:
        expires = parse_moment(job.ttl or "", begin)
    except ScheduleError:
        raise JobRefused("ttl format not recognized") from None
    if job.due_time is not None and begin > expires:
        raise JobRefused("ttl must be greater than due time")
    return expires


def _retry(policy: FailurePolicy | None) -> Retry | None:
    if policy is None or (policy.drop is None and policy.constant is None):
        policy = DEFAULT_POLICY
    constant = policy.constant
    if constant is None:
        return None
    pause = parse_duration(constant.interval).total_seconds() if constant.interval else 0.0
    return Retry(pause, constant.max_retries)
