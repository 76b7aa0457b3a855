"""What is promised of failures, in small; ``tox -e faults`` does the same in full and measures."""

import time
from pathlib import Path

import pytest

from tests.faults.harness.goals import HANG, Goal, Size
from tests.faults.harness.registry import GOALS

pytestmark = [
    pytest.mark.sockets,
    pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="counts through /proc"),
]


@pytest.mark.parametrize("goal", GOALS, ids=[goal.id for goal in GOALS])
async def test_goal(goal: Goal, tmp_path: Path) -> None:
    """The goal's scenario finds nothing wrong, in any order of things."""
    seed = time.time_ns() % 1_000_000
    result = await goal.run(goal.plan(Size.QUICK), tmp_path, seed)
    assert result.missed(HANG) == [], f"seed {seed}: {result.text}"
