"""Points in time as jobs name them: RFC 3339, or a duration from another moment."""

import re
from datetime import UTC, datetime, timedelta

from daprflow.protocol.schedules import ScheduleError, parse_duration

_rfc3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_iso_duration = re.compile(
    r"(?:R(?P<repeats>\d+)(?:/|$))?P(?:(?P<years>\d+)Y)?(?:(?P<months>\d+)M)?(?:(?P<weeks>\d+)W)?"
    r"(?:(?P<days>\d+)D)?(?:T(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+)S)?)?"
)
_MICROSECOND = timedelta(microseconds=1)


def parse_moment(text: str, since: float) -> float:
    """Return the point in time that ``text`` names, in epoch seconds.

    Args:
        text: RFC 3339, a Go duration such as ``1h30m``, or an ISO 8601 one such as ``P1DT12H``
            (whole numbers, no repetitions).
        since: what a duration counts from, in epoch seconds.

    Raises:
        ScheduleError: it is none of these.
    """
    try:
        if _rfc3339.fullmatch(text):
            return datetime.fromisoformat(text).timestamp()
        return _after(text, since)
    except (ValueError, OverflowError, OSError) as error:
        if isinstance(error, ScheduleError):
            raise
        raise ScheduleError("due time format not recognized") from None


def duration_text(duration: timedelta) -> str:
    """Write a duration as Go and protobuf read it: seconds, with a fraction where there is one."""
    whole, fraction = divmod(duration // _MICROSECOND, 1_000_000)
    if not fraction:
        return f"{whole}s"
    if whole < 0:  # divmod rounds down, the text does not
        return "-" + duration_text(-duration)
    return f"{whole}.{fraction:06d}".rstrip("0") + "s"


def _after(text: str, since: float) -> float:
    found = _iso_duration.fullmatch(text)
    if found is None or len(text) < 2:  # noqa: PLR2004 - a letter and a number
        try:
            return since + parse_duration(text).total_seconds()
        except ScheduleError:
            raise ScheduleError("due time format not recognized") from None
    parts = {name: int(digits) for name, digits in found.groupdict().items() if digits}
    if parts.pop("repeats", 0) > 0:
        raise ScheduleError("repeats not supported for due time")
    start = datetime.fromtimestamp(since, UTC)
    month = start.month - 1 + parts.pop("months", 0)
    year = start.year + parts.pop("years", 0) + month // 12
    # A day that a month does not have runs over into the next one, as in Go.
    first = start.replace(year=year, month=month % 12 + 1, day=1)
    return (first + timedelta(days=start.day - 1) + timedelta(**parts)).timestamp()
