"""When a schedule is due next."""

from datetime import UTC, datetime

import pytest

from daprflow.protocol.schedules import ScheduleError, parse_schedule
from daprflow.sidecar.schedule import next_due


def at(text: str) -> float:
    """Return a moment in UTC as epoch seconds."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("schedule", "now", "due"),
    [
        ("@every 90s", "2026-01-01 00:00:00.5", "2026-01-01 00:01:30.5"),
        ("TZ=UTC */5 * * * *", "2026-01-01 00:00:00", "2026-01-01 00:05:00"),
        ("TZ=UTC */10 * * * * *", "2026-01-01 00:00:09.9", "2026-01-01 00:00:10"),
        ("TZ=UTC 0 0 3 * * *", "2026-01-01 03:00:00", "2026-01-02 03:00:00"),
        ("TZ=UTC 0 0 29 2 *", "2026-01-01 00:00:00", "2028-02-29 00:00:00"),
        ("TZ=UTC 0 0 * * SUN", "2026-01-01 00:00:00", "2026-01-04 00:00:00"),
        ("TZ=UTC 0 0 13 * FRI", "2026-01-01 00:00:00", "2026-01-02 00:00:00"),
        ("TZ=Asia/Tokyo 0 6 * * *", "2026-01-01 00:00:00", "2026-01-01 21:00:00"),
        ("TZ=Europe/Berlin 30 2 * * *", "2026-03-28 02:00:00", "2026-03-29 01:00:00"),
    ],
)
def test_the_next_moment(schedule: str, now: str, due: str) -> None:
    """Strictly later, to the second, in the schedule's zone."""
    assert next_due(parse_schedule(schedule), at(now)) == pytest.approx(at(due))


def test_a_date_that_never_comes() -> None:
    """31 February is refused instead of searched for ever."""
    with pytest.raises(ScheduleError, match="never comes due"):
        next_due(parse_schedule("0 0 31 2 *"), at("2026-01-01 00:00:00"))
