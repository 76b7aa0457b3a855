"""The grammar of schedules: six- or five-field cron, ``@every``, and the named ones."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

NAMED = {
    "@yearly": "0 0 0 1 1 *",
    "@annually": "0 0 0 1 1 *",
    "@monthly": "0 0 0 1 * *",
    "@weekly": "0 0 0 * * 0",
    "@daily": "0 0 0 * * *",
    "@midnight": "0 0 0 * * *",
    "@hourly": "0 0 * * * *",
}

_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
_UNITS = {
    "ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0,
}  # fmt: skip
_DIGITS = 18
_ZONE_SLASHES = 2
_SHOWN = 100  # characters of what is no zone
_SHORTEST = timedelta(milliseconds=1)
"""Between two ticks of a job; what asks for less gets this, which is as often as timers go."""
_duration_part = re.compile(r"(\d++(?:\.\d*+)?|\.\d++)(ns|us|µs|μs|ms|s|m|h)")


class ScheduleError(ValueError):
    """A schedule cannot be read; the text says which part and what is allowed."""


class FieldCountError(ScheduleError):
    """A calendar rule has too few or too many fields."""

    def __init__(self, text: str, fields: Sequence[str]) -> None:
        super().__init__(
            f"schedule '{text}' has {len(fields)} fields; a job's has six, from seconds to day of "
            "week ('0 0 3 * * *' is 3 o'clock), or is one such as '@every 15m' or '@daily'"
        )
        self.fields: tuple[str, ...] = tuple(fields)


@dataclass(frozen=True, slots=True)
class Every:
    """Once each ``period``, counted from the start."""

    period: timedelta


@dataclass(frozen=True, slots=True)
class Cron:
    """A calendar rule; ``expression`` has six fields, seconds first; ``zone`` empty means local."""

    expression: str
    zone: str = ""


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()
    first_name: int = 0
    any_mark: bool = False


_FIELDS = (
    _Field("second", 0, 59),
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of month", 1, 31, any_mark=True),
    _Field("month", 1, 12, tuple(_MONTHS), 1),
    _Field("day of week", 0, 6, tuple(_DAYS), any_mark=True),
)


def parse_schedule(text: str) -> Every | Cron:
    """Read a schedule in any form a Dapr cron binding takes.

    Raises:
        ScheduleError: it has none of the forms.
    """
    stripped = text.strip()
    if stripped.startswith("@"):
        return _described(stripped)
    zone, stripped = _split_zone(stripped)
    fields = stripped.split()
    if len(fields) == len(_FIELDS) - 1:
        fields.insert(0, "0")
    if len(fields) != len(_FIELDS):
        raise ScheduleError(
            f"schedule '{text}' has {len(fields)} fields; write five (from minutes) or six "
            "(from seconds), or '@every 15m'"
        )
    return Cron(" ".join(map(_checked, _FIELDS, fields)), zone)


def parse_job_schedule(text: str) -> Every | Cron:
    """Read a schedule in any form that Dapr's scheduler takes for a job.

    Other than for a binding, a calendar rule has exactly six fields, and ``@every`` is not rounded
    to seconds. ``CRON_TZ=Europe/Berlin`` may stand before all but ``@every``.

    Raises:
        ScheduleError: it has none of the forms.
    """
    zone, stripped = _split_zone(text.strip())
    word, _, rest = stripped.partition(" ")
    if word == "@every":
        period = parse_duration(rest)
        if zone or period <= timedelta():
            reason = "takes no time zone" if zone else "needs a duration of at least 1us"
            raise ScheduleError(f"schedule '{text}': '@every' {reason}")
        return Every(max(period, _SHORTEST))
    if word.startswith("@"):
        return Cron(_named(stripped), zone)
    fields = stripped.split()
    if len(fields) != len(_FIELDS):
        raise FieldCountError(text, fields)
    return Cron(" ".join(map(_checked, _FIELDS, fields)), zone)


def parse_duration(text: str) -> timedelta:
    """Read a duration as Go writes it: ``1h30m``, ``500ms``.

    Raises:
        ScheduleError: it is not one.
    """
    stripped = text.strip()
    sign = -1.0 if stripped.startswith("-") else 1.0
    stripped = stripped.lstrip("+-")
    if stripped == "0":
        return timedelta()
    parts: list[tuple[str, str]] = []
    end = 0
    while found := _duration_part.match(stripped, end):  # searching would take quadratic time
        parts.append((found[1], found[2]))
        end = found.end()
    if not parts or end != len(stripped):
        raise ScheduleError(f"'{text}' is not a duration such as 1h30m, 45s or 500ms")
    try:
        return timedelta(seconds=sign * sum(float(n) * _UNITS[unit] for n, unit in parts))
    except OverflowError:
        raise ScheduleError(f"duration '{text}' is too long") from None


def _described(text: str) -> Every | Cron:
    word, _, rest = text.partition(" ")
    if word == "@every":
        period = parse_duration(rest)
        period = max(period, timedelta(seconds=1))  # as the runtime's scheduler rounds
        return Every(timedelta(seconds=period // timedelta(seconds=1)))
    return Cron(_named(text))


def _named(text: str) -> str:
    expression = NAMED.get(text)
    if expression is None:
        raise ScheduleError(
            f"schedule '{text}' is not known; write '@every 15m' or one of {', '.join(NAMED)}"
        )
    return expression


def _split_zone(text: str) -> tuple[str, str]:
    """Return the time zone before a rule, empty where there is none, and the rule."""
    if not text.startswith(("CRON_TZ=", "TZ=")):
        return "", text
    head, _, rule = text.partition(" ")
    return _zone(head.partition("=")[2]), rule.strip()


def _zone(name: str) -> str:
    from zoneinfo import ZoneInfo  # noqa: PLC0415 - few schedules name a zone

    # A zone's name becomes the path of a file, and where there is none, of a module: thousands of
    # parts are more than the import system bears. No zone has more than three, or a dot.
    if "." in name or name.count("/") > _ZONE_SLASHES:
        raise ScheduleError(f"time zone '{name[:_SHOWN]}' is not known")
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError) as error:
        raise ScheduleError(f"time zone '{name[:_SHOWN]}' is not known") from error
    return name


def _checked(field: _Field, text: str) -> str:
    """Return the field in plain form, or say what is wrong with it."""
    return ",".join(_checked_part(field, part) for part in text.split(","))


def _checked_part(field: _Field, text: str) -> str:
    span, slash, step = text.partition("/")
    if slash and (not _is_number(step) or int(step) < 1):
        raise ScheduleError(f"{field.name} '{text}' has a bad step; write a number from 1 on")
    if span == "*" or (span == "?" and field.any_mark):
        return _stepped("*", field, step)
    low, dash, high = span.partition("-")
    first = _number(field, low, text)
    if not dash:
        return _stepped(f"{first}-{field.high}", field, step) if slash else str(first)
    last = _number(field, high, text)
    if first > last:
        raise ScheduleError(f"{field.name} '{text}' runs backwards")
    return _stepped(f"{first}-{last}", field, step)


def _stepped(span: str, field: _Field, step: str) -> str:
    if not step or int(step) == 1:
        return span
    if int(step) > field.high:  # beyond the range only the first value is left
        return str(field.low) if span == "*" else span.partition("-")[0]
    return f"{span}/{int(step)}"


def _number(field: _Field, text: str, whole: str) -> int:
    lowered = text.lower()
    if lowered in field.names:
        return field.names.index(lowered) + field.first_name
    if not _is_number(text) or not field.low <= int(text) <= field.high:
        raise ScheduleError(
            f"{field.name} '{whole}' is not allowed; it takes {field.low} to {field.high}"
        )
    return int(text)


def _is_number(text: str) -> bool:
    """Tell whether ``text`` is one that can be read: Python refuses some thousand digits."""
    return text.isascii() and text.isdigit() and len(text) <= _DIGITS
