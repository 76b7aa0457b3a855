"""Workflows while their app and their sidecar are killed again and again."""

import time
from pathlib import Path

import pytest

from tests.faults.workflow_kills import Plan, kill_again_and_again

pytestmark = pytest.mark.sockets


def chance() -> int:
    """Return another seed each time; the assertion names it."""
    return time.time_ns() % 1_000_000


@pytest.mark.row("FA-33")
async def test_every_workflow_ends_exactly(tmp_path: Path) -> None:
    """All workflows end with their results, none is stuck, and no activity runs once too often.

    ``python -m tests.faults.workflow_kills`` does the same with 1,000 of them and 100 kills.
    """
    plan = Plan(workflows=40, kills=3, seed=chance(), pace=0.6)
    report = await kill_again_and_again(plan, tmp_path)
    assert report.problems == [], plan
    assert len(report.outcomes) == plan.workflows
