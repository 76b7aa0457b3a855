"""Points in time, in every form that a job takes."""

import contextlib
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daprflow.protocol.moments import duration_text, parse_moment
from daprflow.protocol.schedules import ScheduleError, parse_duration

SINCE = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-05-01T03:00:00Z", datetime(2026, 5, 1, 3, tzinfo=UTC)),
        ("2026-05-01T03:00:00.5+02:00", datetime(2026, 5, 1, 1, 0, 0, 500000, tzinfo=UTC)),
        ("90s", SINCE + timedelta(seconds=90)),
        ("1h30m", SINCE + timedelta(minutes=90)),
        ("-1h", SINCE - timedelta(hours=1)),
        ("0", SINCE),
        ("PT1H30M", SINCE + timedelta(minutes=90)),
        ("P2W", SINCE + timedelta(weeks=2)),
        ("P1DT1S", SINCE + timedelta(days=1, seconds=1)),
        ("P1M", datetime(2026, 3, 3, 12, tzinfo=UTC)),
        ("P1Y1M", datetime(2027, 3, 3, 12, tzinfo=UTC)),
        ("P11M", datetime(2026, 12, 31, 12, tzinfo=UTC)),
    ],
)
def test_forms(text: str, expected: datetime) -> None:
    """RFC 3339, Go's durations, and ISO 8601's with months that run over as in Go."""
    assert parse_moment(text, SINCE.timestamp()) == expected.timestamp()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "P",
        "soon",
        "2026-05-01",
        "2026-13-01T00:00:00Z",
        "R2/PT1S",
        "PT0.5S",
        "1",
        "P9999Y",
        "1d",
    ],
)
def test_what_is_none(text: str) -> None:
    """Everything else is refused."""
    with pytest.raises(ScheduleError):
        parse_moment(text, SINCE.timestamp())


@given(st.timedeltas(timedelta(days=-400), timedelta(days=400)))
def test_durations_are_written_as_they_are_read(duration: timedelta) -> None:
    """A duration comes back as it was, to the microsecond."""
    read = parse_duration(duration_text(duration))
    assert abs(read - duration) <= timedelta(microseconds=1)


@given(st.text())
def test_any_text(text: str) -> None:
    """No text brings anything but a moment or a refusal."""
    with contextlib.suppress(ScheduleError):
        assert isinstance(parse_moment(text, SINCE.timestamp()), float)
