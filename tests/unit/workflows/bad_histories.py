"""Code that was changed under a running workflow, and histories that somebody changed.

Each has the code as it ran, the code as it is, with the line that is to be told, and what is told.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import msgspec

from daprflow import Activity, ExternalEvent, Workflow, WorkflowContext
from daprflow.protocol.history import (
    ChildCreated,
    HistoryEvent,
    TaskScheduled,
    TimerCreated,
    TimerOrigin,
)

step: Activity[Any, Any] = Activity("", "step", Any, Any)
other: Activity[Any, Any] = Activity("", "other", Any, Any)
child: Workflow[Any, Any] = Workflow("", "child", Any, Any)
go = ExternalEvent("go", int)
Code = Callable[[WorkflowContext], Any]
Events = Sequence[HistoryEvent]


@dataclass(frozen=True)
class Case:
    """One of them.

    Attributes:
        ran: the code that made the history.
        now: the code that replays it; its line that says BAD has to be told.
        mutate: changes the history.
    """

    ran: Code
    now: Code
    mutate: Callable[[Events], Events] = tuple


async def two_calls(ctx: WorkflowContext) -> Any:
    await ctx.call(step, 1)
    await ctx.call(step, 2)
    return await ctx.wait(go)


async def sleeps(ctx: WorkflowContext) -> Any:
    await ctx.sleep(timedelta(hours=1))
    return await ctx.wait(go)


async def starts(ctx: WorkflowContext) -> Any:
    await ctx.start(child, 1)
    return await ctx.wait(go)


# ---- changed code -----------------------------------------------------------------------------


async def another_activity(ctx: WorkflowContext) -> Any:
    await ctx.call(other, 1)  # BAD: step 1 is activity 'step'; this code asks for activity 'other'
    return await ctx.wait(go)


async def a_call_before(ctx: WorkflowContext) -> Any:
    await ctx.call(other, 0)  # BAD: step 1 is activity 'step'; this code asks for activity 'other'
    await ctx.call(step, 1)


async def another_order(ctx: WorkflowContext) -> Any:
    await ctx.call(step, 2)  # BAD: history step 1 gave activity 'step' another input
    await ctx.call(step, 1)


async def a_timer_before(ctx: WorkflowContext) -> Any:
    await ctx.sleep(timedelta(1))  # BAD: step 1 is activity 'step'; this code asks for a timer
    await ctx.call(step, 1)


async def a_child_instead(ctx: WorkflowContext) -> Any:
    await ctx.start(child, 1)  # BAD: step 1 is activity 'step'; this code asks for workflow 'child'


async def a_call_for_a_timer(ctx: WorkflowContext) -> Any:
    await ctx.call(step, 1)  # BAD: step 1 is a timer; this code asks for activity 'step'


async def a_call_for_a_child(ctx: WorkflowContext) -> Any:
    await ctx.call(step, 1)  # BAD: step 1 is workflow 'child'; this code asks for activity 'step'


async def one_call_less(ctx: WorkflowContext) -> Any:
    await ctx.call(step, 1)
    return await ctx.wait(go)  # BAD: step 2 is activity 'step'; this code asks for nothing there


async def one_call_more(ctx: WorkflowContext) -> Any:
    first = ctx.call(step, 1)
    await ctx.gather(first, ctx.call(other, 2))  # BAD: no step 2; this code asks for activity


async def an_end(ctx: WorkflowContext) -> Any:  # BAD: step 2 is activity 'step'; this code has
    return await ctx.call(step, 1)


CHANGED = (
    Case(two_calls, another_activity),
    Case(two_calls, a_call_before),
    Case(two_calls, another_order),
    Case(two_calls, a_timer_before),
    Case(two_calls, a_child_instead),
    Case(sleeps, a_call_for_a_timer),
    Case(starts, a_call_for_a_child),
    Case(two_calls, one_call_less),
    Case(two_calls, one_call_more),
    Case(two_calls, an_end),
)


# ---- changed histories ------------------------------------------------------------------------


async def first_renamed(ctx: WorkflowContext) -> Any:
    await ctx.call(step, 1)  # BAD: step 1 is activity 'renamed'; this code asks for activity 'step'
    await ctx.call(step, 2)


async def second_a_timer(ctx: WorkflowContext) -> Any:
    await ctx.call(step, 1)
    await ctx.call(step, 2)  # BAD: step 2 is a timer; this code asks for activity 'step' there


async def first_missing(ctx: WorkflowContext) -> Any:
    await ctx.call(step, 1)  # BAD: has no step 1; this code asks for activity 'step' there
    await ctx.call(step, 2)


async def one_too_many(ctx: WorkflowContext) -> Any:
    await ctx.call(step, 1)
    await ctx.call(step, 2)
    await ctx.wait(go)  # BAD: step 9 is activity 'step'; this code asks for nothing there


async def another_input(ctx: WorkflowContext) -> Any:
    await ctx.call(step, 1)
    await ctx.call(step, 2)  # BAD: history step 2 gave activity 'step' another input


async def another_child(ctx: WorkflowContext) -> Any:
    await ctx.start(child, 1)  # BAD: step 1 is workflow 'stranger'; this code asks for workflow


def changed(number: int, **changes: Any) -> Callable[[Events], Events]:
    """Give one step of a history other properties."""

    def mutate(events: Events) -> Events:
        steps = TaskScheduled | ChildCreated
        return [
            msgspec.structs.replace(each, **changes)
            if isinstance(each, steps) and each.id == number
            else each
            for each in events
        ]

    return mutate


def _as_timer(events: Events) -> Events:
    timer = TimerCreated(1, id=2, fire_at=2, origin=TimerOrigin("timer"))
    return [timer if isinstance(each, TaskScheduled) and each.id == 2 else each for each in events]


def _without_first(events: Events) -> Events:
    return [each for each in events if not (isinstance(each, TaskScheduled) and each.id == 1)]


def _with_another(events: Events) -> Events:
    last = next(each for each in events if isinstance(each, TaskScheduled) and each.id == 2)
    return [*events, msgspec.structs.replace(last, id=9)]


MUTATED = (
    Case(two_calls, first_renamed, changed(1, name="renamed")),
    Case(two_calls, second_a_timer, _as_timer),
    Case(two_calls, first_missing, _without_first),
    Case(two_calls, one_too_many, _with_another),
    Case(two_calls, another_input, changed(2, input="3")),
    Case(starts, another_child, changed(1, name="stranger")),
)
