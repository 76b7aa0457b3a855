"""Code that does not fit a history is told both sides, the step and the line."""

import inspect

import pytest

from daprflow import DaprFlow
from daprflow.workflows.replay import Replay
from tests.helpers.workflow_play import WATCHED, Play
from tests.unit.workflows.bad_histories import CHANGED, MUTATED, Case, Code


def app_with(code: Code) -> DaprFlow:
    """An app that has the code as its workflow."""
    app = DaprFlow("app")
    app.workflow(name="flow")(code)
    return app


def marked(code: Code) -> tuple[int, str]:
    """The line that is to be told, and what is told."""
    lines, first = inspect.getsourcelines(code)
    return next(
        (number, line.partition("# BAD: ")[2].strip())
        for number, line in enumerate(lines, first)
        if "# BAD: " in line
    )


@pytest.mark.parametrize("case", CHANGED + MUTATED, ids=lambda each: each.now.__name__)
def test_misfits_are_told(case: Case) -> None:
    """The error names the step, what history has there and what the code does, and its line."""
    with Play(app_with(case.ran), keep=False) as play:
        play.run({}, play.start("flow"))
        history = case.mutate(play.past)
    app = app_with(case.now)
    app.freeze()
    replay = Replay(app.work().workflows, "w1", WATCHED)
    try:
        replay.turn(history, ())
    finally:
        replay.close()
    line, told = marked(case.now)
    text = str(replay.problem)
    assert told in text
    assert f"{case.now.__name__}:{line}" in text or f"bad_histories:{line}" in text


def test_the_same_code_fits() -> None:
    """None of the histories is told of with the code that made it."""
    for case in CHANGED + MUTATED:
        with Play(app_with(case.ran)) as play:
            play.run({}, play.start("flow"))
            assert play.replay.problem is None


def test_there_are_enough() -> None:
    """Two of each are what was asked for."""
    assert min(len(CHANGED), len(MUTATED)) >= 2
