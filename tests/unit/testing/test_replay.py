"""Recorded histories as tests."""

from pathlib import Path
from typing import Any

import pytest

from daprflow import DaprFlow, NonDeterminismError, WorkflowContext, WorkflowRuleError
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
