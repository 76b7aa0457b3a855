"""Durations in a component's metadata."""

from daprflow.protocol.schedules import ScheduleError, parse_duration
from daprflow.sidecar.components.base import ComponentError


def read_seconds(text: str, name: str, *, per_second: int = 1) -> float:
    """Read a duration: Go's form, or a bare number of which ``per_second`` make a second.

    Args:
        text: what the metadata say.
        name: the entry, for the message.
        per_second: 1 where a bare number is seconds, 1000 where it is milliseconds.

    Raises:
        ComponentError: it is neither.
    """
    if text.isascii() and text.isdigit():
        return int(text) / per_second
    try:
        return parse_duration(text).total_seconds()
    except ScheduleError as error:
        raise ComponentError(f"{name}: {error}") from error
