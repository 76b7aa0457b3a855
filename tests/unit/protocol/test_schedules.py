"""The grammar of schedules."""

import contextlib
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daprflow.protocol.schedules import (
    NAMED,
    Cron,
    Every,
    ScheduleError,
    parse_duration,
    parse_schedule,
)


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("@every 15m", Every(timedelta(minutes=15))),
        ("@every 1h30m5s", Every(timedelta(hours=1, minutes=30, seconds=5))),
        ("@every 1500ms", Every(timedelta(seconds=1))),
        ("@every 1ms", Every(timedelta(seconds=1))),
        ("@daily", Cron("0 0 0 * * *")),
        ("@hourly", Cron("0 0 * * * *")),
        ("*/5 * * * *", Cron("0 */5 * * * *")),
        ("30 */5 * * * *", Cron("30 */5 * * * *")),
        ("0 0 3 * * MON-FRI", Cron("0 0 3 * * 1-5")),
        ("0 30 3-6,20-23 * jan,DEC ?", Cron("0 30 3-6,20-23 * 1,12 *")),
        ("5/15 * * * *", Cron("0 5-59/15 * * * *")),
        ("*/61 * * * * *", Cron("0 * * * * *")),
        ("  0 0 * * *  ", Cron("0 0 0 * * *")),
        ("CRON_TZ=UTC 0 6 * * *", Cron("0 0 6 * * *", "UTC")),
        ("TZ=Asia/Tokyo 0 6 * * *", Cron("0 0 6 * * *", "Asia/Tokyo")),
    ],
)
def test_every_form_is_read(text: str, parsed: Every | Cron) -> None:
    """Five or six fields, names, steps, zones, and the described ones."""
    assert parse_schedule(text) == parsed


@pytest.mark.parametrize("name", NAMED)
def test_named_schedules(name: str) -> None:
    """Each name stands for a rule of six fields."""
    assert parse_schedule(name) == Cron(NAMED[name])


@pytest.mark.row("R-02")
@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "0 fields"),
        ("* * * *", "4 fields"),
        ("* * * * * * *", "7 fields"),
        ("60 * * * *", "minute '60' is not allowed; it takes 0 to 59"),
        ("* * 0 * *", "day of month"),
        ("* * * 13 *", "month '13'"),
        ("* * * * 7", "day of week '7'"),
        ("x * * * *", "minute 'x'"),
        ("9" * 5_000 + " * * * *", "minute '99"),
        ("*/" + "9" * 5_000 + " * * * *", "bad step"),
        ("5-1 * * * *", "runs backwards"),
        ("*/0 * * * *", "bad step"),
        ("*/-1 * * * *", "bad step"),
        ("? * * * *", "minute"),
        ("@every", "not a duration"),
        ("@every soon", "not a duration"),
        ("@every 5", "not a duration"),
        ("@sometimes", "not known"),
        ("TZ=Nowhere/None * * * * *", "time zone 'Nowhere/None' is not known"),
        (f"TZ=Europe{'.' * 3000} * * * * *", "time zone 'Europe"),
        (f"TZ=Europe{'/a' * 3000} * * * * *", "time zone 'Europe"),
        ("TZ=UTC", "0 fields"),
        ("CRON_TZ=", "time zone"),
        ("٣ * * * *", "minute"),
    ],
)
def test_what_is_no_schedule_is_refused_with_the_part(text: str, reason: str) -> None:
    """The text names the field and what it takes."""
    with pytest.raises(ScheduleError, match=reason):
        parse_schedule(text)


@pytest.mark.row("R-02")
@given(st.text(max_size=40))
def test_any_text_is_a_schedule_or_an_error(text: str) -> None:
    """Nothing else is raised."""
    with contextlib.suppress(ScheduleError):
        assert isinstance(parse_schedule(text), Every | Cron)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1h", 3600),
        ("1.5s", 1.5),
        ("100ms", 0.1),
        ("2us", 2e-6),
        ("-5s", -5),
        ("+1m", 60),
        ("0", 0),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    """Go's syntax, signs included."""
    assert parse_duration(text).total_seconds() == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "5", "s", "1h x", "1d", "9" * 30 + "h"])
def test_what_is_no_duration(text: str) -> None:
    """A bare number has no unit; too long is too long."""
    with pytest.raises(ScheduleError):
        parse_duration(text)
