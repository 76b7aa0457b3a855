"""How long something takes, as callers give it: a ``timedelta``, or a number of seconds."""

from datetime import timedelta

Duration = timedelta | float
"""A ``timedelta``, or seconds."""


def seconds(duration: Duration) -> float:
    """Return a duration in seconds."""
    return duration.total_seconds() if isinstance(duration, timedelta) else duration
