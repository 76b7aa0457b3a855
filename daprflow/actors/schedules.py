"""When reminders and timers come: options as they are given, texts as the runtime reads them."""

from datetime import datetime, timedelta
from typing import TypedDict

from daprflow.protocol.moments import duration_text
from daprflow.protocol.periods import Period, parse_period, parse_time

_LONGEST = timedelta(days=290 * 365)  # Go's durations end at 292 years
_SECOND = timedelta(seconds=1)


class TimerOptions(TypedDict, total=False):
    """When a timer comes.

    Attributes:
        name: the method's where it is not given; one of the same name is replaced.
        due: when it comes first: after that time, at that moment, or as the runtime writes both,
            ``PT10M`` or ``10m``. Without it, after one period.
        every: the time between two ticks; a text may be ISO 8601 with repetitions, ``R5/PT10S``.
        repeats: how often it comes in all.
        ttl: when it ends, counted from the first tick, or at a moment.
    """

    name: str | None
    due: timedelta | datetime | str | None
    every: timedelta | str | None
    repeats: int | None
    ttl: timedelta | datetime | str | None


class ReminderOptions(TimerOptions, total=False):
    """When a reminder comes.

    Attributes:
        overwrite: False leaves a reminder of that name as it is.
    """

    overwrite: bool


_OPTIONS = frozenset({"name", "due", "every", "repeats", "ttl", "overwrite"})


class Times(TypedDict):
    """The same for the runtime."""

    due_time: str
    period: str
    ttl: str


def times(options: TimerOptions, what: str, *, calendar: bool) -> Times:
    """Return when something comes as the runtime reads it.

    Args:
        options: as they were given.
        what: the noun for messages.
        calendar: whether the runtime knows years and months in a period.

    Raises:
        ValueError: it would never come, or the runtime could not read it.
        TypeError: there is no such option.
    """
    if unknown := options.keys() - _OPTIONS:
        known = ", ".join(f"'{name}'" for name in sorted(_OPTIONS))
        raise TypeError(f"a {what} has no option '{min(unknown)}'; it has {known}")
    due, every, ttl = options.get("due"), options.get("every"), options.get("ttl")
    repeats = options.get("repeats")
    if due is None and every is None:
        raise ValueError(f"a {what} needs to know when it comes; give it 'due', 'every' or both")
    if every is None and (ttl is not None or (repeats or 1) != 1):
        raise ValueError(f"a {what} without 'every' comes once; give it 'every', too")
    if repeats is not None and repeats < 1:
        raise ValueError(f"a {what} repeats {repeats} times; it takes 1 or more")
    period = "" if every is None else _period(every, repeats, what, calendar=calendar)
    first = period.partition("/")[2] or period if due is None else _moment("due", due, what)
    return Times(
        due_time=first, period=period, ttl="" if ttl is None else _moment("ttl", ttl, what)
    )


def _period(every: timedelta | str, repeats: int | None, what: str, *, calendar: bool) -> str:
    text = _duration("every", every, what) if isinstance(every, timedelta) else every.strip()
    try:
        period = parse_period(text)
    except ValueError as error:
        raise ValueError(f"a {what}'s 'every' is '{every}': {error}") from None
    if period.empty or period.repeats == 0:
        raise ValueError(f"a {what}'s 'every' is '{every}'; it must be longer than 0")
    if repeats is not None and period.repeats is not None:
        raise ValueError(f"a {what}'s 'every' is '{every}', and 'repeats' says it again")
    if calendar and isinstance(every, str) and repeats is None:
        return text
    count = repeats or period.repeats
    return (
        _plain(period, count, text, what)
        if not period.months
        else _dated(text, count, what, calendar=calendar)
    )


def _plain(period: Period, repeats: int | None, text: str, what: str) -> str:
    """Write a period in units that every runtime knows."""
    length = period.length + timedelta(days=period.days)
    if repeats is None:
        return duration_text(length)
    if length % _SECOND:
        raise ValueError(f"a {what} that is counted comes every whole second, not every {text}")
    return f"R{repeats}/PT{length // _SECOND}S"


def _dated(text: str, repeats: int | None, what: str, *, calendar: bool) -> str:
    if not calendar:
        raise ValueError(
            f"a {what}'s 'every' is '{text}'; the runtime knows no years and months there"
        )
    bare = text.partition("/")[2] or text
    return bare if repeats is None else f"R{repeats}/{bare}"


def _moment(name: str, value: timedelta | datetime | str, what: str) -> str:
    if isinstance(value, timedelta):
        return _duration(name, value, what)
    if isinstance(value, datetime):
        if value.utcoffset() is None:
            raise ValueError(f"a {what}'s '{name}' is {value} without a time zone; give it one")
        return value.isoformat().replace("+00:00", "Z")
    text = value.strip()
    try:
        parse_time(text, 0.0)
    except ValueError as error:
        raise ValueError(f"a {what}'s '{name}' is '{value}': {error}") from None
    return text


def _duration(name: str, value: timedelta, what: str) -> str:
    if not timedelta() <= value <= _LONGEST:
        raise ValueError(f"a {what}'s '{name}' is {value}; it takes 0 to {_LONGEST}")
    return duration_text(value)
