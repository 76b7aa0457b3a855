"""How often timers and reminders come: Go durations, and ISO 8601 ones with repetitions."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from daprflow.protocol.moments import parse_moment
from daprflow.protocol.schedules import ScheduleError, parse_duration

_iso = re.compile(
    r"(?:R(?P<repeats>\d+)(?:/|$))?"
    r"(?:P(?:(?P<years>\d+)Y)?(?:(?P<months>\d+)M)?(?:(?P<weeks>\d+)W)?(?:(?P<days>\d+)D)?"
    r"(?:T(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+)S)?)?)?"
)
_SHORTEST_ISO = 2
_UNITS = ((1_000_000, "s"), (1000, "ms"), (1, "µs"))


@dataclass(frozen=True, slots=True)
class Period:
    """The time between two ticks, and how many there are; None means without end.

    Attributes:
        months: of the calendar, years included.
        days: of the calendar, weeks included.
        length: what comes beside them.
    """

    months: int = 0
    days: int = 0
    length: timedelta = timedelta()
    repeats: int | None = None

    @property
    def empty(self) -> bool:
        """Whether nothing follows the first tick."""
        return not (self.months or self.days or self.length)

    def after(self, moment: float) -> float:
        """Return when the tick after the one at ``moment`` is due, both in epoch seconds.

        Raises:
            OverflowError: that is beyond the end of the calendar.
        """
        if not self.months and not self.days:
            return moment + self.length.total_seconds()
        start = datetime.fromtimestamp(moment, UTC)
        month = start.month - 1 + self.months
        try:
            # A day that a month does not have runs over into the next one, as in Go.
            first = start.replace(year=start.year + month // 12, month=month % 12 + 1, day=1)
        except ValueError as error:
            raise OverflowError(str(error)) from None
        days = timedelta(days=start.day - 1 + self.days)
        return (first + days + self.length).timestamp()


def parse_period(text: str) -> Period:
    """Read a period such as ``1h30m``, ``PT1H30M`` or ``R5/P1D``.

    Raises:
        ScheduleError: it is none; the text is the real runtime's.
    """
    found = _iso.fullmatch(text)
    try:
        if found is None or len(text) < _SHORTEST_ISO:
            return Period(length=parse_duration(text))
        parts = {name: int(digits) for name, digits in found.groupdict().items() if digits}
        return Period(
            months=12 * parts.get("years", 0) + parts.get("months", 0),
            days=7 * parts.get("weeks", 0) + parts.get("days", 0),
            length=timedelta(
                hours=parts.get("hours", 0),
                minutes=parts.get("minutes", 0),
                seconds=parts.get("seconds", 0),
            ),
            repeats=parts.get("repeats"),
        )
    except (ValueError, OverflowError):  # a number may have more digits than Python reads
        raise ScheduleError(f"unsupported duration format: {text}") from None


def parse_time(text: str, since: float) -> float:
    """Return the point in time that ``text`` names, as `parse_moment`, failing as timers do.

    Raises:
        ScheduleError: it is none; the text is the real runtime's.
    """
    try:
        return parse_moment(text, since)
    except ScheduleError as error:
        if "repeats" in str(error):
            raise ScheduleError("repetitions are not allowed") from None
        raise ScheduleError(f"unsupported time/duration format: {text}") from None


def go_duration(duration: timedelta) -> str:
    """Return a duration as Go prints it, to the microsecond: ``1h0m0s``, ``1m5.5s``, ``500ms``."""
    if duration < timedelta():
        return f"-{go_duration(-duration)}"
    micros = duration // timedelta(microseconds=1)
    if micros < 1_000_000:  # noqa: PLR2004 - below a second Go takes smaller units
        size, unit = next((u for u in _UNITS if micros >= u[0]), (1_000_000, "s"))
        return _decimal(micros, size) + unit
    minutes, rest = divmod(micros, 60_000_000)
    hours, minutes = divmod(minutes, 60)
    head = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
    return f"{head}{_decimal(rest, 1_000_000)}s"


def _decimal(amount: int, size: int) -> str:
    whole, rest = divmod(amount, size)
    if not rest:
        return str(whole)
    digits = len(str(size)) - 1
    return f"{whole}.{rest:0{digits}d}".rstrip("0")
