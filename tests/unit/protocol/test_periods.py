"""Periods of timers and reminders, and durations as Go prints them."""

from datetime import UTC, datetime, timedelta

import pytest

from daprflow.protocol.periods import Period, go_duration, parse_period, parse_time
from daprflow.protocol.schedules import ScheduleError


@pytest.mark.parametrize(
    ("text", "period"),
    [
        ("1h30m", Period(length=timedelta(minutes=90))),
        ("0h0m1s0ms", Period(length=timedelta(seconds=1))),
        ("PT1H2M3S", Period(length=timedelta(hours=1, minutes=2, seconds=3))),
        ("R3/PT1S", Period(length=timedelta(seconds=1), repeats=3)),
        ("R0/PT1S", Period(length=timedelta(seconds=1), repeats=0)),
        ("P1Y2M", Period(months=14)),
        ("P2W", Period(days=14)),
        ("R5", Period(repeats=5)),
    ],
)
def test_forms(text: str, period: Period) -> None:
    """Go's durations and ISO 8601's are read, repetitions in front."""
    assert parse_period(text) == period


@pytest.mark.parametrize("text", ["", "x", "R", "R/PT1S", "PT0.5S", "pt1s", "1"])
def test_refused_forms(text: str) -> None:
    """Anything else is refused in the real runtime's words."""
    with pytest.raises(ScheduleError, match=f"unsupported duration format: {text}$"):
        parse_period(text)


def test_what_follows_by_the_calendar() -> None:
    """A month after 31 January runs over into March, as in Go."""
    start = datetime(2026, 1, 31, tzinfo=UTC).timestamp()
    following = datetime.fromtimestamp(Period(months=1, days=1).after(start), UTC)
    assert following == datetime(2026, 3, 4, tzinfo=UTC)


def test_the_end_of_the_calendar() -> None:
    """What is beyond it overflows."""
    with pytest.raises(OverflowError):
        Period(months=12 * 9000).after(0.0)


def test_nothing_follows_an_empty_period() -> None:
    """Repetitions alone are no time."""
    assert Period(repeats=5).empty
    assert not Period(days=1).empty


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("zzz", "unsupported time/duration format: zzz"),
        ("R2/PT1S", "repetitions are not allowed"),
    ],
)
def test_times_that_are_none(text: str, error: str) -> None:
    """A time is refused in the words that timers have for it."""
    with pytest.raises(ScheduleError) as raised:
        parse_time(text, 0.0)
    assert str(raised.value) == error


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        (timedelta(), "0s"),
        (timedelta(hours=1), "1h0m0s"),
        (timedelta(minutes=1, seconds=5.5), "1m5.5s"),
        (timedelta(milliseconds=1.5), "1.5ms"),
        (timedelta(microseconds=7), "7µs"),
        (timedelta(seconds=-2), "-2s"),
    ],
)
def test_durations_as_go_prints_them(duration: timedelta, text: str) -> None:
    """Hours, minutes, and as much of a second as there is."""
    assert go_duration(duration) == text
