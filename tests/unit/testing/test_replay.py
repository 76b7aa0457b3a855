"""Recorded histories as tests."""

from pathlib import Path
from typing import Any

import pytest

from daprflow import (
    Activity,
    DaprFlow,
    ExternalEvent,
    NonDeterminismError,
    WorkflowContext,
    WorkflowRuleError,
)
from daprflow.protocol.history import encode_history
from daprflow.testing import TestSidecar, replay


def app() -> tuple[DaprFlow, Any, Any, Any]:
    """An app with an activity, the workflow that was recorded, and one that was changed since."""
    app = DaprFlow("shop")

    @app.activity
    async def charge(amount: int) -> int:
        return amount * 2

    @app.workflow
    async def checkout(ctx: WorkflowContext, amount: int) -> int:
        return await ctx.call(charge, amount) + await ctx.call(charge, amount + 1)

    other = DaprFlow("changed")

    @other.workflow(name="checkout")
    async def reordered(ctx: WorkflowContext, amount: int) -> int:
        return await ctx.call(charge, amount + 1) + await ctx.call(charge, amount)

    @other.workflow(name="checkout", version="2")
    async def shortened(ctx: WorkflowContext, amount: int) -> int:
        return await ctx.call(charge, amount)

    return app, checkout, reordered, shortened


async def test_a_file_keeps_a_history(tmp_path: Path) -> None:
    """A history that was written to a file replays with the same code, and not with another."""
    shop, checkout, reordered, shortened = app()
    async with TestSidecar(shop) as dapr:
        run = await dapr.start(checkout, 5)
        assert await run.result() == 22
        events = await run.history()
    file = tmp_path / "checkout.json"
    file.write_bytes(encode_history(events))
    replay(checkout, file)
    replay(checkout, events)
    with pytest.raises(NonDeterminismError, match="history step 1 gave activity 'charge' another"):
        replay(reordered, file)
    with pytest.raises(NonDeterminismError, match="ended"):
        replay(shortened, file.read_bytes())


async def test_a_replay_names_the_first_step_that_differs() -> None:
    """Another step, one more, one less, another end: each is told with its step and its line."""
    shop, checkout, *_ = app()
    async with TestSidecar(shop) as dapr:
        run = await dapr.start(checkout, 5)
        await run.result()
        events = await run.history()
    charge: Any = next(each for each in shop.workflow_handles().handles if each.name == "charge")

    @DaprFlow("changed").workflow(name="checkout")
    async def renamed(ctx: WorkflowContext, amount: int) -> int:
        first: int = await ctx.call(charge, amount)
        await ctx.call(Activity("shop", "refund", int, None), amount + 1)
        return first

    @DaprFlow("changed").workflow(name="checkout")
    async def longer(ctx: WorkflowContext, amount: int) -> int:
        each: list[int] = [await ctx.call(charge, amount + more) for more in range(3)]
        return sum(each)

    @DaprFlow("changed").workflow(name="checkout")
    async def shorter(ctx: WorkflowContext, amount: int) -> int:
        return int(await ctx.call(charge, amount))

    @DaprFlow("changed").workflow(name="checkout")
    async def dearer(ctx: WorkflowContext, amount: int) -> int:
        return int(1 + await ctx.call(charge, amount) + await ctx.call(charge, amount + 1))

    @DaprFlow("changed").workflow(name="checkout")
    async def broken(ctx: WorkflowContext, amount: int) -> int:
        raise KeyError(await ctx.call(charge, amount) + await ctx.call(charge, amount + 1))

    for code, says in (
        (renamed, r"2 is activity 'charge'; this code asks for activity 'refund' there \(test_"),
        (longer, r"history has no step 3; this code asks for activity 'charge' there \(test_rep"),
        (shorter, r"history step 2 is activity 'charge'; this code has ended before"),
        (dearer, r"test_replay:\d+\): its history ended with another result"),
        (broken, r"ended as COMPLETED; this code ends as FAILED, with KeyError: 22"),
    ):
        with pytest.raises(NonDeterminismError, match=says):
            replay(code, events)


async def test_the_history_of_an_instance_that_still_runs_is_compared_to_its_end() -> None:
    """Code that asks for more, or has ended, where the instance waits, is refused."""
    approved = ExternalEvent("approved", bool)
    shop = DaprFlow("shop")

    @shop.workflow
    async def checkout(ctx: WorkflowContext) -> bool:
        return await ctx.wait(approved)

    @DaprFlow("changed").workflow(name="checkout")
    async def longer(ctx: WorkflowContext) -> bool:
        await ctx.call(Activity("shop", "charge", None, None))
        return await ctx.wait(approved)

    @DaprFlow("changed").workflow(name="checkout")
    async def shorter(ctx: WorkflowContext) -> bool:
        return True

    async with TestSidecar(shop) as dapr:
        run = await dapr.start(checkout)
        events = await run.history()
    replay(checkout, events)

    @DaprFlow("changed").workflow(name="checkout")
    async def impatient(ctx: WorkflowContext) -> bool:
        first = await ctx.race(ctx.wait(approved), ctx.call(Activity("a", "b", None, None)))
        return first is not None

    @DaprFlow("changed").workflow(name="checkout")
    async def renamed(ctx: WorkflowContext) -> bool:
        return await ctx.wait(ExternalEvent("granted", bool))

    with pytest.raises(
        NonDeterminismError, match="event 'approved'; this code asks for a wait for"
    ):
        replay(renamed, events)
    with pytest.raises(NonDeterminismError, match="has no step 2; this code asks for activity"):
        replay(impatient, events)
    with pytest.raises(NonDeterminismError, match="has no step 1; this code asks for activity"):
        replay(longer, events)
    with pytest.raises(
        NonDeterminismError, match="step 1 is a wait for event 'approved'; this code"
    ):
        replay(shorter, events)


@pytest.mark.parametrize(
    ("document", "says"),
    [
        (b"", "holds no history"),
        (b"[]", "holds no history"),
        (b"{}", "its 'format' is not 'daprflow-history'"),
        (b'{"format": "daprflow-history", "version": 9}', "version is 9, and this release"),
        (b'{"format": "daprflow-history", "version": 1}', "holds no history"),
        (b'{"format": "daprflow-history", "version": 1, "events": []}', "has no beginning"),
    ],
)
def test_what_is_no_history_is_refused(tmp_path: Path, document: bytes, says: str) -> None:
    """The text says what is wrong with the file."""
    checkout = app()[1]
    file = tmp_path / "x.json"
    file.write_bytes(document)
    with pytest.raises(ValueError, match=says):
        replay(checkout, file)


async def test_a_history_of_something_else_is_refused() -> None:
    """A replay needs the workflow and the version that were recorded."""
    shop = DaprFlow("shop")

    @shop.workflow(name="checkout", version="2", default=True)
    async def checkout(ctx: WorkflowContext) -> int:
        return 1

    @DaprFlow("changed").workflow(name="checkout", version="3")
    async def newer(ctx: WorkflowContext) -> int:
        return 1

    @DaprFlow("changed").workflow(name="payment")
    async def payment(ctx: WorkflowContext) -> int:
        return 1

    async with TestSidecar(shop) as dapr:
        run = await dapr.start(checkout)
        await run.result()
        events = await run.history()
    replay(checkout, events)
    with pytest.raises(ValueError, match="the history is of version '2', and this is version '3'"):
        replay(newer, events)
    with pytest.raises(ValueError, match="the history is of workflow 'checkout'"):
        replay(payment, events)


async def test_rules_hold_in_a_replay() -> None:
    """Code that became undurable since is told so, too."""
    shop, checkout, *_ = app()
    async with TestSidecar(shop) as dapr:
        run = await dapr.start(checkout, 5)
        events = await run.history()
    changed = DaprFlow("changed")

    @changed.workflow(name="checkout")
    async def undurable(ctx: WorkflowContext, amount: int) -> int:
        from random import random

        return int(random()) + amount  # noqa: S311 - likewise

    with pytest.raises(WorkflowRuleError, match=r"ctx\.random"):
        replay(undurable, events)
