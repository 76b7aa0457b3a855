"""When a schedule is due next."""

from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

from daprflow.protocol.schedules import Cron, Every, ScheduleError


def next_due(schedule: Every | Cron, now: float) -> float:
    """Return the first moment after ``now`` at which ``schedule`` is due, in epoch seconds.

    Cron rules are read in the schedule's time zone, the machine's where it names none.

    Raises:
        ScheduleError: no date ever matches, such as 31 February.
    """
    if isinstance(schedule, Every):
        return now + schedule.period.total_seconds()
    from croniter import (  # noqa: PLC0415 - loaded by those who schedule
        CroniterBadDateError,
        croniter,
    )

    zone: tzinfo | None = ZoneInfo(schedule.zone) if schedule.zone else None
    start = datetime.fromtimestamp(now, UTC).astimezone(zone)
    try:
        following: datetime = croniter(
            schedule.expression, start, ret_type=datetime, second_at_beginning=True
        ).get_next(datetime)
    except CroniterBadDateError as error:
        raise ScheduleError(f"schedule '{schedule.expression}' never comes due") from error
    return following.timestamp()
