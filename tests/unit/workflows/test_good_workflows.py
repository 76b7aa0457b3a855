"""What a workflow may do is not refused, however closely it is watched."""

from typing import Any

import pytest

from daprflow.protocol.workflow_actions import WorkflowState
from tests.helpers.workflow_play import Play
from tests.unit.workflows.good_workflows import GOOD, good_app


def failing(_: Any) -> None:
    """An activity that fails."""
    raise ValueError("no")


@pytest.mark.row("FA-32")
@pytest.mark.parametrize("function", GOOD, ids=lambda each: each.__name__)
def test_good_workflow(function: Any) -> None:
    """Each completes, replayed from scratch after every turn, and kept between them."""
    with Play(good_app()) as play:
        play.run({"fails": failing}, play.start(function.__name__))
        assert play.replay.problem is None
    last: Any = play.asked[-1]
    assert last.status is WorkflowState.COMPLETED, last.failure


def test_there_are_fifty() -> None:
    """Fifty is what was asked for."""
    assert len(GOOD) >= 50
