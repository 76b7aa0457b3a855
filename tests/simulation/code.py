"""The workflow whose code runs every program of a simulation, as a user would write it."""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from daprflow.addresses import Activity, ExternalEvent, Workflow
from daprflow.workflows.context import WorkflowContext
from daprflow.workflows.plan import WorkflowPlan, Workflows, WorkflowVersions
from daprflow.workflows.retry import RetryPolicy
from daprflow.workflows.tasks import Task as Durable
from daprflow.workflows.values import Values
from tests.simulation.grammar import (
    OTHER,
    OWN,
    Body,
    Call,
    Child,
    Gather,
    Leaf,
    Patched,
    Race,
    Saga,
    Show,
    Sleep,
    Start,
    Statement,
    Task,
    Wait,
    digest_of,
)

WORKFLOW = "main"
NEWER = "2"
"""The version that changed code runs for what begins then."""
ACTIVITY = "act"
VALUES = Values()
ACTIVITIES = {app: Activity(app, ACTIVITY, Task, int) for app in (OWN, OTHER)}
CHILDREN = {app: Workflow(app, WORKFLOW, Start, list[Any]) for app in (OWN, OTHER)}


def workflows_of(
    programs: Mapping[str, Sequence[Body]], is_changed: Callable[[], bool]
) -> Workflows:
    """Return what a worker runs.

    Args:
        programs: by name.
        is_changed: whether the worker has the newer code.
    """

    async def main(ctx: WorkflowContext, start: Start) -> list[Any]:
        return await _Run(ctx, is_changed()).body(programs, start)

    decode = VALUES.decoder(Start, "the input")
    title = f"workflow '{WORKFLOW}'"
    plan = WorkflowPlan(WORKFLOW, title, main, decode)
    if not is_changed():
        return Workflows({WORKFLOW: WorkflowVersions(plan, {"": plan})}, VALUES)
    newer = WorkflowPlan(WORKFLOW, title, main, decode, version=NEWER)
    return Workflows({WORKFLOW: WorkflowVersions(newer, {"": plan, NEWER: newer})}, VALUES)


class _Run:
    """One execution of a program's body."""

    def __init__(self, ctx: WorkflowContext, changed: bool) -> None:  # noqa: FBT001 - of its own module
        self._ctx = ctx
        self._changed = changed

    async def body(self, programs: Mapping[str, Sequence[Body]], start: Start) -> list[Any]:
        """Do one statement after the other."""
        body = programs[start.program][start.body]
        trail: list[Any] = [start.carry]
        for statement in body.statements:
            try:
                trail.append(await self._statement(statement))
            except Exception as error:  # noqa: BLE001 - each kind is a part of the result
                trail.append(f"!{type(error).__name__}")
        if body.keep is not None:
            following = Start(start.program, start.body + 1, digest_of(trail))
            self._ctx.restart(following, keep_events=body.keep)
        if body.fails:
            raise ValueError("as the program says")
        return trail

    async def _statement(self, statement: Statement) -> Any:  # noqa: PLR0911 - one for each kind
        ctx = self._ctx
        match statement:
            case Gather():
                return await ctx.gather(*[self._branch(each) for each in statement.branches])
            case Race():
                tasks = [self._leaf(each) for each in statement.leaves]
                winner = await ctx.race(*tasks)
                return [tasks.index(winner), await winner]
            case Saga():
                return await self._saga(statement)
            case Show():
                return ctx.status(statement.text)
            case Patched():
                if statement.versioned:
                    changed = ctx.version == NEWER
                else:
                    changed = self._changed and ctx.patched(statement.name)
                return await self._leaf(statement.new if changed else statement.old)
            case Child(detached=True):
                ctx.start(CHILDREN[statement.app], Start(statement.program), detached=True)
                return "begun"
            case _:
                return await self._leaf(statement)

    async def _saga(self, statement: Saga) -> str:
        async with self._ctx.saga() as saga:
            for step, undo in statement.steps:
                await self._leaf(step)
                saga.undo(ACTIVITIES[undo.app], self._task(undo), retry=_policy(undo))
            if statement.fails:
                raise ValueError("as the program says")
        return "kept"

    def _branch(self, branch: Leaf | Sequence[Leaf]) -> Any:
        if not isinstance(branch, Sequence):
            return self._leaf(branch)

        async def whole() -> list[Any]:
            return [await self._leaf(each) for each in branch]

        return whole()

    def _leaf(self, leaf: Leaf) -> Durable[Any]:
        ctx = self._ctx
        match leaf:
            case Call():
                handle = ACTIVITIES[leaf.app]
                return ctx.call(handle, self._task(leaf), retry=_policy(leaf))
            case Sleep():
                return ctx.sleep(timedelta(seconds=leaf.seconds))
            case Wait():
                event = ExternalEvent(leaf.event, str)
                if leaf.timeout is None:
                    return ctx.wait(event)
                limit = timedelta(seconds=leaf.timeout)
                if leaf.default:
                    return ctx.wait(event, timeout=limit, default="late")
                return ctx.wait(event, timeout=limit)
            case Child():
                retry = RetryPolicy(attempts=leaf.attempts) if leaf.attempts > 1 else None
                return ctx.start(CHILDREN[leaf.app], Start(leaf.program), retry=retry)

    def _task(self, call: Call) -> Task:
        note = f"{self._ctx.uuid()} {self._ctx.random.random()}" if call.noted else ""
        return Task(call.label, call.fails, call.final, note)


def _policy(call: Call) -> RetryPolicy | None:
    if call.attempts == 1:
        return None
    return RetryPolicy(
        attempts=call.attempts,
        first=timedelta(seconds=call.pause),
        backoff=call.backoff,
        never=("Final",),
    )
