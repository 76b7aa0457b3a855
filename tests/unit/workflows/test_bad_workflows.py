"""What a workflow must not do is refused where it does it, with what to do in its place."""

import asyncio
import gc
import inspect
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from daprflow import DaprFlow, WorkflowContext
from tests.helpers.workflow_play import Play, failure_in, result_of
from tests.unit.workflows import bad_workflows
from tests.unit.workflows.bad_workflows import BAD, bad_app


def marked(function: Callable[..., Any]) -> tuple[int, str]:
    """The line that breaks a rule, and what its error has to say."""
    lines, first = inspect.getsourcelines(function)
    for number, line in enumerate(lines, first):
        if "# BAD: " in line:
            return number, line.partition("# BAD: ")[2].strip()
    raise AssertionError(f"{function.__name__} marks no line")


@pytest.mark.row("FA-32")
@pytest.mark.parametrize("function", BAD, ids=lambda each: each.__name__)
async def test_bad_workflow(function: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each fails at its line; the error names the line, the step and the alternative."""
    future = asyncio.get_running_loop().create_future()
    monkeypatch.setattr(bad_workflows, "outside", future)
    with Play(bad_app(), keep=False) as play:
        turn = play.run({}, play.start(function.__name__))
    failure = failure_in(turn)
    line, told = marked(function)
    assert told in failure.message
    assert f"bad_workflows.{function.__name__}:{line}, step " in failure.message
    assert failure.final == (failure.type == "WorkflowRuleError")
    future.cancel()


def test_garbage_may_look_at_the_clock() -> None:
    """What runs when garbage is collected is no part of a workflow."""
    seen: list[float] = []

    def collected(*_: object) -> None:
        seen.append(time.monotonic())

    async def collects(_: WorkflowContext) -> int:
        return gc.collect() * 0

    app = DaprFlow("collecting")
    app.workflow(collects)
    gc.callbacks.append(collected)
    try:
        with Play(app, keep=False) as play:
            assert result_of(play.start("collects")) == 0
    finally:
        gc.callbacks.remove(collected)
    assert seen


def test_there_are_thirty() -> None:
    """Thirty is what was asked for, and each marks its line."""
    assert len(BAD) >= 30
    kinds = Counter(each.__name__.partition("_")[0] for each in BAD)
    assert set(kinds) == {
        "clock",
        "chance",
        "environment",
        "network",
        "thread",
        "foreign",
        "set",
        "unserialisable",
    }
    assert min(kinds.values()) >= 2
    assert all(marked(each) for each in BAD)
