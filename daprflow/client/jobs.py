"""Jobs as the client asks for them: when they run, how often, and what follows a failure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, TypedDict, TypeVar

import msgspec

from daprflow.addresses import Job, type_name
from daprflow.client.caller import Caller
from daprflow.errors import SidecarError
from daprflow.handlers.codecs import Codecs
from daprflow.policies import FailurePolicy, decode_policy, encode_policy
from daprflow.protocol import jobs as wire
from daprflow.protocol.jobs import JobDescription, JobRequest

T = TypeVar("T")

_LONGEST = timedelta(days=290 * 365)  # Go's durations end at 292 years
_MOST = 2**32 - 1
_NOT_FOUND = "code = NotFound"


@dataclass(frozen=True, slots=True)
class ScheduledJob(Generic[T]):
    """A job as the runtime has it; one that is over is gone.

    Times stand as they were given: RFC 3339, or a duration such as ``5m`` or ``PT5M`` that counts
    from when the job was scheduled.

    Attributes:
        name: of the job.
        schedule: a cron rule with seconds, ``@every 15m``, ``@daily`` …; None for a single tick.
        due_time: when the first tick is due, where that was given.
        ttl: when the job ends, where that was given.
        repeats: how many ticks there are in all; None is without end.
        data: decoded; None where it has none.
        failure_policy: what the runtime does with a tick that fails.

    Example:
        ```python
        job = await client.job("report", Limits)
        if job is not None:
            print(job.schedule, job.data)
        ```
    """

    name: str
    schedule: str | None
    due_time: str | None
    ttl: str | None
    repeats: int | None
    data: T | None
    failure_policy: FailurePolicy


class ScheduleOptions(TypedDict, total=False):
    """What may be said about a job; see `Client.schedule`."""

    due: timedelta | datetime | None
    every: str | timedelta | None
    repeats: int | None
    ttl: timedelta | datetime | None
    overwrite: bool
    failure_policy: FailurePolicy | None


async def schedule(
    caller: Caller, job: Job[Any] | str, data: object, options: ScheduleOptions
) -> None:
    """Have the sidecar keep a job.

    Raises:
        ValueError: it could never be scheduled; nothing was sent.
        SidecarError: the sidecar refused.
    """
    request = request_of(data, options, caller.codecs)
    await caller.call(wire.schedule_job(_checked(job), request))


async def find(caller: Caller, job: Job[Any] | str, payload: Any) -> ScheduledJob[Any] | None:
    """Return a job, its data decoded to ``payload``; None where there is none.

    Raises:
        SidecarError: the sidecar refused.
        msgspec.ValidationError: its data is no ``payload``.
    """
    found = await describe(caller, _checked(job))
    if found is None:
        return None
    raw = msgspec.UNSET if found.data is msgspec.UNSET else found.data.value
    data = None
    if raw is not msgspec.UNSET:
        data = caller.decode(bytes(raw), payload, f"the data of job '{found.name}'")
    return ScheduledJob(
        name=found.name,
        schedule=found.schedule,
        due_time=found.due_time,
        ttl=found.ttl,
        repeats=found.repeats,
        data=data,
        failure_policy=decode_policy(found.failure_policy),
    )


async def delete(caller: Caller, job: Job[Any] | str) -> None:
    """Have the sidecar forget a job.

    Raises:
        SidecarError: the sidecar refused.
    """
    await caller.call(wire.delete_job(_checked(job)))


async def describe(caller: Caller, name: str) -> JobDescription | None:
    """Return what the sidecar tells of a job, None where there is none.

    Raises:
        SidecarError: the sidecar refused.
    """
    try:
        response = await caller.call(wire.get_job(name))
    except SidecarError as error:
        # A runtime answers 500 whatever the reason is; only its text tells.
        if error.code == wire.GET_FAULT and _NOT_FOUND in str(error):
            return None
        raise
    return wire.read_description(response.body)


def request_of(data: object, options: ScheduleOptions, codecs: Codecs) -> JobRequest:
    """Return what a sidecar is sent.

    Raises:
        ValueError: no such job can be.
    """
    due, every, ttl = options.get("due"), options.get("every"), options.get("ttl")
    repeats = options.get("repeats")
    _check(due, every, ttl, repeats)
    return JobRequest(
        schedule=None if every is None else schedule_text(every),
        repeats=repeats,
        due_time=None if due is None else _moment(due),
        ttl=None if ttl is None else _moment(ttl),
        overwrite=options.get("overwrite", False),
        failure_policy=encode_policy(options.get("failure_policy")),
        data=msgspec.UNSET if data is None else msgspec.Raw(codecs.encode(data)),
    )


def schedule_text(every: str | timedelta) -> str:
    """Return a schedule as the runtime reads it.

    Raises:
        ScheduleError: it is none; the text says which part and what is allowed.
    """
    from daprflow.protocol.schedules import parse_job_schedule  # noqa: PLC0415 - few schedule jobs

    if isinstance(every, timedelta):
        text = f"@every {_duration(every)}"
    else:
        text = f"@every {every.strip()}" if _is_duration(every) else every.strip()
    parse_job_schedule(text)
    return text


def _check(
    due: timedelta | datetime | None,
    every: str | timedelta | None,
    ttl: timedelta | datetime | None,
    repeats: int | None,
) -> None:
    if due is None and every is None:
        raise ValueError("a job needs to know when it runs; give it 'due', 'every' or both")
    if every is None and ttl is not None:
        raise ValueError("a job without 'every' has one tick, so 'ttl' means nothing")
    if every is None and repeats is not None and repeats > 1:
        raise ValueError(f"a job without 'every' has one tick, not {repeats}")
    if repeats is not None and not 1 <= repeats <= _MOST:
        raise ValueError(f"a job's repeats are {repeats}; it takes 1 to {_MOST}")
    _check_moment("due", due)
    _check_moment("ttl", ttl)
    if isinstance(due, datetime) and isinstance(ttl, datetime) and ttl < due:
        raise ValueError(f"a job's ttl ends at {ttl}, before it is due at {due}")


def _check_moment(what: str, value: object) -> None:
    if value is None:
        return
    if isinstance(value, datetime):
        if value.utcoffset() is None:
            raise ValueError(f"a job's {what} is {value} without a time zone; give it one")
    elif not isinstance(value, timedelta):
        raise TypeError(
            f"a job's {what} is a timedelta or a datetime, not a value of type "
            f"'{type_name(type(value))}'"
        )
    elif not timedelta(0) <= value <= _LONGEST:
        raise ValueError(f"a job's {what} is {value}; it takes 0 to {_LONGEST}")


def _moment(value: timedelta | datetime) -> str:
    """Write a point in time, or a duration up to it, as the runtime reads it."""
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return _duration(value)


def _duration(value: timedelta) -> str:
    from daprflow.protocol.moments import duration_text  # noqa: PLC0415 - as above

    return duration_text(value)


def _is_duration(text: str) -> bool:
    from daprflow.protocol.schedules import ScheduleError, parse_duration  # noqa: PLC0415 - as above

    try:
        parse_duration(text)
    except ScheduleError:
        return False
    return True


def _checked(job: Job[Any] | str) -> str:
    name = job if isinstance(job, str) else job.name
    if problem := wire.name_problem(name):
        raise ValueError(f"'{name}' cannot be a job's name: {problem}")
    return name
