"""What is typed after the workflow commands: JSON, points in time, ages, states."""

import re
from datetime import UTC, datetime, timedelta
from enum import StrEnum

import msgspec
import typer

from daprflow.protocol.schedules import ScheduleError, parse_duration
from daprflow.protocol.workflow_actions import WorkflowState

_DAYS = re.compile(r"(\d+(?:\.\d+)?)([dw])")
_HOURS = {"d": 24, "w": 168}
_MOMENTS = "2027-01-31, 2027-01-31T08:00 (of this machine) or 2027-01-31T08:00:00Z"
_PERIODS = "90s, 15m, 2h30m or 7d"


class State(StrEnum):
    """The states as they are typed."""

    RUNNING = "running"
    COMPLETED = "completed"
    CONTINUED_AS_NEW = "continued-as-new"
    FAILED = "failed"
    CANCELED = "canceled"
    TERMINATED = "terminated"
    PENDING = "pending"
    SUSPENDED = "suspended"
    STALLED = "stalled"


def state(typed: State) -> WorkflowState:
    """Return the state that was typed."""
    return WorkflowState[typed.name]


def json_text(text: str | None, what: str) -> str | None:
    """Return what was typed as JSON text: as it stands where it is JSON, else as a JSON string.

    Args:
        text: what was typed; None for nothing.
        what: its name in the usage, for the message.

    Raises:
        BadParameter: it begins like JSON and is none, or it is no UTF-8.
    """
    if text is None:
        return None
    try:
        msgspec.json.decode(text)
    except UnicodeEncodeError:
        raise typer.BadParameter(f"{what} is no UTF-8") from None
    except msgspec.DecodeError as error:
        if text.lstrip().startswith(("{", "[", '"')):
            raise typer.BadParameter(f"{what} begins like JSON and is none: {error}") from None
        return msgspec.json.encode(text).decode()
    return text


def period(text: str, option: str) -> timedelta:
    """Return a length of time such as ``2h30m`` or ``7d``.

    Raises:
        BadParameter: it is none, or not above zero.
    """
    hours = _DAYS.sub(lambda found: f"{float(found[1]) * _HOURS[found[2]]:f}h", text.strip())
    try:
        length = parse_duration(hours)
    except ScheduleError:
        length = timedelta()
    if length <= timedelta():
        raise typer.BadParameter(f"{option} '{text}' is no length of time; write {_PERIODS}")
    return length


def moment(text: str, option: str) -> datetime:
    """Return a point in time; without an offset it is one of this machine's clock.

    Raises:
        BadParameter: it is none.
    """
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        raise typer.BadParameter(
            f"{option} '{text}' is no point in time; write {_MOMENTS}"
        ) from None


def after(text: str, option: str) -> datetime:
    """Return the point in time that is so far ahead.

    Raises:
        BadParameter: that is no length of time, or beyond the calendar.
    """
    try:
        return datetime.now(UTC) + period(text, option)
    except OverflowError:
        raise typer.BadParameter(f"{option} '{text}' is beyond the calendar") from None


def past(text: str | None, option: str) -> datetime | None:
    """Return a point in time, or the one that is so long ago.

    Raises:
        BadParameter: it is neither.
    """
    if text is None:
        return None
    if text[:4].isdecimal() and "-" in text:
        return moment(text, option)
    try:
        return datetime.now(UTC) - period(text, option)
    except (typer.BadParameter, OverflowError):
        raise typer.BadParameter(
            f"{option} '{text}' is no point in time and no age; write {_MOMENTS}, or {_PERIODS}"
        ) from None
