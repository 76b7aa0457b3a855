"""Replay: what code asks for, and what it is told when that is not what its history has."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from daprflow import (
    Activity,
    DaprFlow,
    ExternalEvent,
    RetryPolicy,
    WorkflowContext,
)
from daprflow.protocol import history
from daprflow.protocol.workflow_actions import (
    CompleteWorkflow,
    CreateTimer,
    ScheduleTask,
    VersionMissing,
    WorkflowState,
)
from daprflow.workflows.replay import Replay
from tests.helpers.workflow_play import START, Play, failure_in, result_of

charge: Activity[int, int] = Activity("", "charge", int, int)
score: Activity[int, int] = Activity("", "score", int, int)
approved = ExternalEvent("approved", bool)


def app_of(function: Any, **options: Any) -> DaprFlow:
    """An app with one workflow, named 'flow'."""
    app = DaprFlow("app")
    app.workflow(name="flow", **options)(function)
    return app


async def one_call(ctx: WorkflowContext) -> int:
    """Call one activity."""
    return await ctx.call(charge, 1)


def completed(number: int, value: object) -> history.TaskCompleted:
    """An activity's result."""
    return history.TaskCompleted(
        START, scheduled=number, result=msgspec.json.encode(value).decode()
    )


def problem_of(function: Any, play: Play) -> str:
    """What is said when other code goes on with the history of a play."""
    app = app_of(function)
    app.freeze()
    replay = Replay(app.work().workflows, "w1")
    turn = replay.turn(play.past, [history.WorkflowStarted(play.now + 1)])
    replay.close()
    (action,) = turn.actions
    assert isinstance(action, VersionMissing)
    return str(replay.problem)


def test_another_activity_is_told_with_its_line() -> None:
    """Code that calls another activity than its history is told both, and the line."""

    async def changed(ctx: WorkflowContext) -> int:
        return await ctx.call(score, 1)

    line = changed.__code__.co_firstlineno + 1
    with Play(app_of(one_call)) as play:
        play.start("flow")
        text = problem_of(changed, play)
    assert "history step 1 is activity 'charge'; this code asks for activity 'score' there" in text
    assert f"changed:{line})" in text
    assert 'ctx.patched("...")' in text


def test_a_missing_step_is_told() -> None:
    """Code that no longer calls what its history has is told what it waits for."""

    async def changed(ctx: WorkflowContext) -> None:
        await ctx.wait(approved)

    with Play(app_of(one_call)) as play:
        play.start("flow")
        text = problem_of(changed, play)
    assert "history step 1 is activity 'charge'" in text
    assert "a wait for event 'approved'" in text or "waits for event 'approved'" in text


def test_an_added_step_is_told() -> None:
    """Code that asks for more in a turn than its history has is told so."""

    async def changed(ctx: WorkflowContext) -> Any:
        return await ctx.gather(ctx.call(charge, 1), ctx.call(charge, 2))

    with Play(app_of(one_call)) as play:
        play.start("flow")
        text = problem_of(changed, play)
    assert "history has no step 2; this code asks for activity 'charge' there" in text


def test_an_ended_workflow_is_told() -> None:
    """Code that ends before its history does is told so."""

    async def changed(_: WorkflowContext) -> int:
        return 1

    with Play(app_of(one_call)) as play:
        play.start("flow")
        text = problem_of(changed, play)
    assert "history step 1 is activity 'charge'; this code has ended before" in text


def test_a_changed_history_is_told() -> None:
    """A history whose step was renamed, or became a timer, does not fit the code."""
    with Play(app_of(one_call)) as play:
        play.start("flow")
        (at,) = [n for n, each in enumerate(play.past) if isinstance(each, history.TaskScheduled)]
        play.past[at] = history.TaskScheduled(START, id=1, name="refund")
        assert "is activity 'refund'" in problem_of(one_call, play)
        play.past[at] = history.TimerCreated(START, id=1, fire_at=START)
        assert "is a timer; this code asks for activity 'charge'" in problem_of(one_call, play)


def test_other_inputs_are_told_in_tests() -> None:
    """Where code is watched, an input that differs on replay is told, with its step."""
    numbers = iter(range(100))

    async def other_each_time(ctx: WorkflowContext) -> int:
        await ctx.call(charge, next(numbers))
        return await ctx.call(charge, 0)

    with Play(app_of(other_each_time), keep=False) as play:
        play.start("flow")
        turn = play.turn(completed(1, 1))
        assert isinstance(turn.actions[0], VersionMissing)
        assert "history step 1 gave activity 'charge' another input" in str(play.replay.problem)


@pytest.mark.row("S-19")
def test_results_that_do_not_fit_are_told() -> None:
    """A result that is no instance of the declared type is raised where it is awaited."""
    with Play(app_of(one_call)) as play:
        play.start("flow")
        failure = failure_in(play.turn(completed(1, "text")))
    assert failure.type == "ValueError"
    assert "the result of activity 'charge', a 'int', does not fit" in failure.message


def test_unserialisable_result_fails_the_instance() -> None:
    """A result without a JSON form fails the instance, and names its type."""

    async def bad(_: WorkflowContext) -> object:
        return object()

    with Play(app_of(bad)) as play:
        failure = failure_in(play.start("flow"))
    assert failure.type == "TypeError"
    assert "the result of workflow 'bad' (tests.unit.workflows.test_replay:" in failure.message
    assert "is of type 'object'" in failure.message


def test_decimals_and_datetimes_are_results() -> None:
    """What the official worker cannot send is sent: a Decimal, a datetime in a dict."""

    async def good(ctx: WorkflowContext) -> list[Any]:
        return [Decimal("1.5"), {"at": ctx.now}]

    with Play(app_of(good)) as play:
        result = result_of(play.start("flow"))
    assert result[0] == "1.5"
    assert result[1]["at"].endswith("Z")


@pytest.mark.row("FA-33")
def test_retries_wait_longer_each_time() -> None:
    """A failed call is tried again after durable waits, under the same execution id."""
    policy = RetryPolicy(attempts=3, first=timedelta(seconds=1), backoff=2)

    async def retried(ctx: WorkflowContext) -> int:
        return await ctx.call(charge, 1, retry=policy)

    def fails(_: Any) -> None:
        raise ValueError("no")

    with Play(app_of(retried)) as play:
        play.run({"charge": fails}, play.start("flow"))
    timers = [each for each in play.asked if isinstance(each, CreateTimer)]
    calls = [each for each in play.asked if isinstance(each, ScheduleTask)]
    assert [each.origin.kind for each in timers] == ["activity-retry"] * 2
    assert len({each.execution for each in calls}) == 1
    assert [each.id for each in play.asked] == [1, 2, 3, 4, 5, 6]
    last = play.asked[-1]
    assert isinstance(last, CompleteWorkflow)
    assert last.failure is not None
    assert last.failure.cause is not None
    assert last.failure.cause.type == "ValueError"


def test_events_are_kept_and_case_does_not_count() -> None:
    """An event that comes before anybody waits is kept, whatever the case of its name."""

    async def waits(ctx: WorkflowContext) -> bool:
        await ctx.call(charge, 1)
        return await ctx.wait(approved)

    with Play(app_of(waits)) as play:
        play.start("flow")
        play.turn(history.EventRaised(START, name="APPROVED", input="false"))
        assert result_of(play.turn(completed(1, 1))) is False


def test_suspended_workflows_hold_what_comes() -> None:
    """While suspended nothing goes on; resuming goes through what came meanwhile."""
    with Play(app_of(one_call)) as play:
        play.start("flow")
        play.turn(history.ExecutionSuspended(START))
        assert play.turn(completed(1, 7)).actions == ()
        assert result_of(play.turn(history.ExecutionResumed(START))) == 7


def test_restart_carries_unread_events() -> None:
    """A restart begins anew with its input and the events that nobody has read."""

    async def again(ctx: WorkflowContext, number: int) -> int:
        if not number:
            await ctx.call(charge, 1)
            ctx.restart(5)
        return number

    with Play(app_of(again)) as play:
        play.start("flow", 0)
        play.turn(history.EventRaised(START, name="approved", input="0"))
        (action,) = play.turn(completed(1, 1)).actions
    assert isinstance(action, CompleteWorkflow)
    assert action.status is WorkflowState.CONTINUED_AS_NEW
    assert action.result == "5"
    assert [each.input for each in action.carried] == ["0"]


@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("suspended", [True, False])
def test_restart_carries_events_that_come_with_its_cause(*, keep: bool, suspended: bool) -> None:
    """An event is the next execution's though it comes in the very turn that ends this one."""

    async def again(ctx: WorkflowContext) -> None:
        await ctx.call(charge, 1)
        ctx.restart(keep_events=keep)

    late: list[history.HistoryEvent] = [completed(1, 1)]
    late.append(history.EventRaised(START, name="approved", input="0"))
    if suspended:
        late = [history.ExecutionSuspended(START), *late, history.ExecutionResumed(START)]
    with Play(app_of(again)) as play:
        play.start("flow")
        (action,) = play.turn(*late).actions
    assert isinstance(action, CompleteWorkflow)
    assert action.status is WorkflowState.CONTINUED_AS_NEW
    assert [each.input for each in action.carried] == ["0"] * keep


def test_time_does_not_go_back() -> None:
    """A timer that a sidecar rings a little early finds the time that it was set to."""
    seen = []

    async def nap(ctx: WorkflowContext) -> None:
        due = ctx.now + timedelta(hours=1)
        await ctx.sleep(timedelta(hours=1))
        seen.append(ctx.now == due)
        await ctx.call(charge, 1)
        seen.append(ctx.now == due)

    with Play(app_of(nap), keep=False) as play:
        (action,) = play.start("flow").actions
        assert isinstance(action, CreateTimer)
        play.turn(history.TimerFired(play.now, timer=action.id, fire_at=action.fire_at))
        play.turn(completed(2, 1))
    assert set(seen) == {True}


def test_termination_ends_it() -> None:
    """A terminated workflow answers with the output it was given; its code is taken down."""
    ran = []

    async def cleans_up(ctx: WorkflowContext) -> None:
        try:
            await ctx.call(charge, 1)
        finally:
            ran.append(ctx.replaying)

    with Play(app_of(cleans_up), keep=False) as play:
        play.start("flow")
        (action,) = play.turn(history.ExecutionTerminated(START, output='"stop"')).actions
        assert isinstance(action, CompleteWorkflow)
        assert (action.status, action.result) == (WorkflowState.TERMINATED, '"stop"')
    assert ran
    assert all(ran)


def test_patches_hold_for_those_that_began_before() -> None:
    """An execution that went past a change takes the old way; a new one takes the new way."""

    async def patched(ctx: WorkflowContext) -> int:
        if ctx.patched("score"):
            await ctx.call(score, 1)
        return await ctx.call(charge, 1)

    with Play(app_of(one_call)) as before:
        before.start("flow")
        app = app_of(patched)
        app.freeze()
        replay = Replay(app.work().workflows, "w1")
        turn = replay.turn(before.past, [history.WorkflowStarted(before.now + 1), completed(1, 3)])
        replay.close()
        assert result_of(turn) == 3
    with Play(app_of(patched)) as play:
        turn = play.start("flow")
        assert turn.patches == ("score",)
        play.turn(completed(1, 1))
        assert result_of(play.turn(completed(2, 4))) == 4


def versions() -> DaprFlow:
    """An app with two versions of a workflow."""
    app = DaprFlow("app")

    @app.workflow(name="flow", version="1")
    async def first(ctx: WorkflowContext) -> int:
        return await ctx.call(charge, 1)

    @app.workflow(name="flow", version="2", default=True)
    async def second(ctx: WorkflowContext) -> int:
        return await ctx.call(score, 1)

    return app


def test_an_instance_stays_with_its_version() -> None:
    """New instances run the default version; others go on with the one they began with."""
    with Play(versions()) as play:
        turn = play.start("flow")
        assert (turn.version, turn.actions[0].id) == ("2", 1)
        assert result_of(play.turn(completed(1, 9))) == 9
    with Play(versions()) as play:
        turn = play.start("flow", version="1")
        assert isinstance(turn.actions[0], ScheduleTask)
        assert (turn.version, turn.actions[0].name) == ("1", "charge")


def test_a_missing_version_waits_for_another_worker() -> None:
    """An instance of a version that is not here waits; it does not fail."""
    with Play(versions(), keep=False) as play:
        turn = play.start("flow", version="3")
    assert isinstance(turn.actions[0], VersionMissing)


def test_an_unknown_workflow_fails() -> None:
    """A workflow that is not here fails its instance, and says what there is."""
    with Play(versions(), keep=False) as play:
        failure = failure_in(play.start("other"))
    assert "no workflow is named 'other'" in failure.message
    assert "'flow'" in failure.message


def test_histories_without_endless_timers_fit() -> None:
    """A wait that an older SDK wrote no timer for does not move the steps after it."""

    async def waits(ctx: WorkflowContext) -> Any:
        waiting = ctx.wait(approved)
        await ctx.call(charge, 1)
        return await waiting

    app = app_of(waits)
    app.freeze()
    replay = Replay(app.work().workflows, "w1")
    past = [
        history.WorkflowStarted(START),
        history.ExecutionStarted(START, name="flow", execution="e1", app="app"),
        history.TaskScheduled(START, id=1, name="charge", input="1"),
    ]
    new = [history.WorkflowStarted(START + 1), completed(1, 1)]
    assert replay.turn(past, new).actions == ()
    assert replay.problem is None
    replay.close()


@pytest.mark.parametrize("value", [0, "", False, None])
def test_falsy_events_survive(value: object) -> None:
    """An event whose value is falsy is one all the same."""
    event: ExternalEvent[Any] = ExternalEvent("it", Any)

    async def waits(ctx: WorkflowContext) -> Any:
        return [await ctx.wait(event)]

    with Play(app_of(waits)) as play:
        play.start("flow")
        text = None if value is None else msgspec.json.encode(value).decode()
        assert result_of(play.turn(history.EventRaised(START, name="it", input=text))) == [value]
