"""Timelines of histories that are rare, or that a test would wait for."""

from daprflow.cli.workflow_show import length
from daprflow.cli.workflow_timeline import Timeline, rendered
from daprflow.protocol.history import (
    ChildCreated,
    ChildFailed,
    EventRaised,
    ExecutionStalled,
    ExecutionStarted,
    OtherEvent,
    TaskFailed,
    TaskScheduled,
    TimerCreated,
    TimerFired,
    TimerOrigin,
    WorkflowStarted,
)
from daprflow.protocol.history import Failure as Failed

SECOND = 1_000_000_000


def said(*events: object, width: int | None = None) -> list[str]:
    """The lines of a history without their times."""
    lines = rendered(Timeline(events).lines, width)  # type: ignore[arg-type]  # events of any kind
    return [" ".join(line.split()[2:]) for line in lines]


def test_a_stalled_instance_says_why_until_its_next_turn() -> None:
    """The reason stands among what it waits for, and is gone once a worker goes on."""
    stalled = ExecutionStalled(5, reason="VERSION_NOT_AVAILABLE", description="no such code")
    waits = (
        "a worker that can go on with it: VERSION_NOT_AVAILABLE: no such code; "
        "the app's log says more"
    )
    assert Timeline([stalled]).open_steps == (waits,)
    assert Timeline([stalled, WorkflowStarted(6)]).open_steps == ()
    assert said(stalled) == ["stalled VERSION_NOT_AVAILABLE no such code"]


def test_what_is_waited_for_elsewhere_names_the_app() -> None:
    """An activity or a child of another app is shown with that app, one of this app without."""
    waits = Timeline(
        [
            ExecutionStarted(0, name="order", app="shop"),
            TaskScheduled(0, id=1, name="score", target="risk"),
            TaskScheduled(0, id=2, name="charge", target="shop"),
            ChildCreated(0, id=3, name="invoice", instance="c1", target="billing"),
        ]
    ).open_steps
    assert waits == (
        "activity 'score' of 'risk' (step 1)",
        "activity 'charge' (step 2)",
        "workflow 'invoice' of 'billing', instance 'c1' (step 3)",
    )


def test_what_is_elsewhere_and_what_ends_badly() -> None:
    """Other apps are named; a child that was terminated failed without a reason."""
    assert said(
        ExecutionStarted(0, name="order", app="shop"),
        TaskScheduled(0, id=1, name="score", target="risk"),
        TaskFailed(SECOND, scheduled=1, failure=Failed("ValueError", "a\n b")),
        ChildCreated(SECOND, id=2, name="pack", instance="c1", target="shop"),
        ChildFailed(3 * SECOND, scheduled=2),
        OtherEvent(3 * SECOND, kind="eventSent"),
    ) == [
        "started order",
        "#1 activity score of 'risk'",
        "#1 failed score of 'risk' after 1 s ValueError: a b",
        "#2 workflow pack 'c1'",
        "#2 failed pack 'c1' after 2 s it was terminated",
        "eventSent",
    ]


def test_a_wait_that_ends_without_its_event() -> None:
    """A limit that passes is a time-out; an event that nobody waits for stands alone."""
    origin = TimerOrigin("event", "approved")
    events = (
        WorkflowStarted(0),
        TimerCreated(0, id=1, fire_at=2 * SECOND, origin=origin),
        TimerFired(2 * SECOND, timer=1),
        EventRaised(3 * SECOND, name="APPROVED", input="true"),
        WorkflowStarted(4 * SECOND, patches=("fraud",)),
        WorkflowStarted(5 * SECOND, patches=("fraud",)),
    )
    assert said(*events) == [
        "#1 waits approved for 2 s at most",
        "#1 timed out approved",
        "event APPROVED true",
        "patched fraud",
    ]
    assert Timeline(events).open_steps == ()
    assert Timeline(events[:2]).open_steps[0].startswith("event 'approved' until ")


def test_values_are_shortened_to_fit() -> None:
    """A narrow terminal still gets some of a value, a file gets all; control characters go."""
    started = ExecutionStarted(0, name="order", input='"' + "x" * 200 + '\x1b[2J"')
    (line,) = rendered(Timeline([started]).lines, 60)
    assert len(line) == 60
    assert line.endswith("x...")
    assert len(rendered(Timeline([started]).lines, 10)[0]) < 60
    (whole,) = rendered(Timeline([started]).lines, None)
    assert "\x1b" not in whole
    assert len(whole) > 200


def test_a_history_of_days_has_dates() -> None:
    """A history within a day has times alone."""
    events = (ExecutionStarted(0, name="order"), EventRaised(86_400 * SECOND, name="x"))
    assert rendered(Timeline(events).lines, None)[1].split()[2] == "+1d"
    assert len(rendered(Timeline(events[:1]).lines, None)[0].split()[0]) == len("00:00:00.000")


def test_lengths_of_time_are_short() -> None:
    """Two units at most."""
    seconds = (0.0, 0.0121, 0.9999, 1.5, 59.0, 60.0, 90_061.0, 86_400.0)
    short = ["0 ms", "12 ms", "1 s", "1.5 s", "59 s", "1m", "1d 1h", "1d"]
    assert [length(each) for each in seconds] == short
