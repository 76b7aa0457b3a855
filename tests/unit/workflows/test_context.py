"""What a workflow's context does, and refuses to do outside of its workflow's code."""

from datetime import timedelta
from typing import Any

import pytest

from daprflow import Activity, DaprFlow, ExternalEvent, WorkflowContext, WorkflowRuleError
from daprflow.protocol.history import EventRaised, TaskCompleted, TimerFired
from daprflow.protocol.workflow_actions import CompleteWorkflow, ScheduleTask, WorkflowState
from tests.helpers.workflow_play import START, Play, failure_in, result_of

step: Activity[int, int] = Activity("", "step", int, int)
compensate: Activity[Any, None] = Activity("", "compensate", Any, None)
number = ExternalEvent("number", int)


def test_a_map_begins_a_few_and_follows_up() -> None:
    """As many calls begin as the limit allows, and one more for each that is done."""
    app = DaprFlow("app")

    @app.workflow
    async def mapped(ctx: WorkflowContext) -> list[int]:
        return await ctx.map(step, [10, 20, 30, 40], limit=2)

    with Play(app) as play:
        first = play.start("mapped")
        assert [each.input for each in first.actions if isinstance(each, ScheduleTask)] == [
            "10",
            "20",
        ]
        second = play.turn(TaskCompleted(play.now, scheduled=2, result="2"))
        assert [(each.id, each.input) for each in second.actions] == [(3, "30")]  # type: ignore[union-attr]  # it is a call
        both = TaskCompleted(play.now, scheduled=3, result="3")
        third = play.turn(both, TaskCompleted(play.now, scheduled=1, result="1"))
        assert [(each.id, each.input) for each in third.actions] == [(4, "40")]  # type: ignore[union-attr]  # likewise
        last = play.turn(TaskCompleted(play.now, scheduled=4, result="4"))
        assert result_of(last) == [1, 2, 3, 4]


@pytest.mark.parametrize(
    "use",
    [
        lambda ctx: ctx.call(step, 1),
        lambda ctx: ctx.sleep(timedelta(1)),
        lambda ctx: ctx.wait(number),
        lambda ctx: ctx.status("x"),
        lambda ctx: ctx.restart(1),
        lambda ctx: ctx.patched("x"),
        lambda ctx: ctx.uuid(),
        lambda ctx: ctx.saga(),
        lambda ctx: ctx.gather(),
    ],
)
@pytest.mark.parametrize("keep", [True, False], ids=["kept", "taken-down"])
def test_a_context_is_for_its_own_code(use: Any, *, keep: bool) -> None:
    """Whoever keeps a context and uses it later is told so, and changes nothing."""
    app = DaprFlow("app")
    kept: list[WorkflowContext] = []

    @app.workflow
    async def leaks(ctx: WorkflowContext) -> int:
        kept.append(ctx)
        return await ctx.wait(number)

    with Play(app) as play:
        play.start("leaks")
        ctx = kept[1] if keep else kept[0]
        if not keep:
            play.replay.close()
        with pytest.raises(WorkflowRuleError, match=r"own code, while it runs.*test_context\."):
            use(ctx)
        assert ctx.id == "w1"
        assert result_of(play.turn(EventRaised(play.now, name="number", input="3"))) == 3


async def test_a_task_is_awaited_by_its_own_code() -> None:
    """A task that got out of its workflow cannot be awaited by anything else."""
    app = DaprFlow("app")
    kept: list[Any] = []

    @app.workflow
    async def leaks(ctx: WorkflowContext) -> int:
        kept.append(ctx.wait(number))
        return await ctx.wait(number)

    with Play(app) as play:
        play.start("leaks")
        with pytest.raises(WorkflowRuleError, match="own code"):
            await kept[0]


def test_undo_runs_though_a_rule_was_broken() -> None:
    """A saga whose code breaks a rule takes back what it did before the workflow fails."""
    import asyncio

    app = DaprFlow("app")

    @app.workflow
    async def breaks(ctx: WorkflowContext) -> None:
        async with ctx.saga() as saga:
            await ctx.call(step, 1)
            saga.undo(compensate, 1)
            await asyncio.sleep(1)

    with Play(app) as play:
        play.start("breaks")
        undone = play.turn(TaskCompleted(play.now, scheduled=1, result="1"))
        assert [(each.name, each.input) for each in undone.actions] == [("compensate", "1")]  # type: ignore[union-attr]  # it is a call
        last = play.turn(TaskCompleted(play.now, scheduled=2))
        assert failure_in(last).type == "WorkflowRuleError"


def test_undo_has_the_input_of_its_time() -> None:
    """An undo's input is what it was when it was named; one that cannot be kept fails there."""
    app = DaprFlow("app")

    @app.workflow
    async def changes(ctx: WorkflowContext) -> None:
        async with ctx.saga() as saga:
            items = [1]
            saga.undo(compensate, items)
            items.append(2)
            saga.undo(compensate, object())

    with Play(app) as play:
        undone = play.start("changes")
        assert [each.input for each in undone.actions] == ["[1]"]  # type: ignore[union-attr]  # it is a call
        last = play.turn(TaskCompleted(play.now, scheduled=1))
        assert "input of activity 'compensate' is of type 'object'" in failure_in(last).message


def test_undo_goes_on_after_one_that_fails() -> None:
    """The others run all the same; the workflow's failure is the first error, with a note."""
    app = DaprFlow("app")

    @app.workflow
    async def books(ctx: WorkflowContext) -> None:
        async with ctx.saga() as saga:
            for room in (1, 2, 3):
                saga.undo(compensate, room)
            raise RuntimeError("no room")

    def fails_for_two(room: int) -> None:
        done.append(room)
        if room == 2:
            raise ValueError("gone")

    done: list[int] = []
    with Play(app) as play:
        last = play.run({"compensate": fails_for_two}, play.start("books"))
    failure = failure_in(last)
    assert done == [3, 2, 1]
    assert failure.type == "RuntimeError"
    assert failure.message.startswith("no room\nundo 'compensate' failed: ActivityFailed")


def test_a_restart_after_work_waits_for_a_turn() -> None:
    """The runtime begins nothing in a turn that restarts, so that the restart comes in the next."""
    app = DaprFlow("app")

    @app.workflow
    async def loops(ctx: WorkflowContext, turn: int) -> None:
        _ = ctx.call(step, turn), ctx.wait(number)
        ctx.restart(turn + 1)

    with Play(app) as play:
        first = play.start("loops", 1)
        assert [type(each).__name__ for each in first.actions] == ["ScheduleTask", "CreateTimer"]
        assert play.turn(EventRaised(play.now, name="number", input="7")).actions == ()
        timer = first.actions[1].id
        (end,) = play.turn(TimerFired(play.now, timer=timer, fire_at=START)).actions
    assert isinstance(end, CompleteWorkflow)
    assert (end.status, end.result) == (WorkflowState.CONTINUED_AS_NEW, "2")
    assert [each.input for each in end.carried] == ["7"]
