"""The harness finds growth: what is leaked on purpose, and what only looks like it."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests.faults.harness import growth
from tests.faults.harness.goals import Size
from tests.faults.harness.usage import Bounds, Usage, growing

STEADY = [Usage(float(at), 80.0, 90.0, 20, 4, 30) for at in range(100)]


@pytest.mark.sockets
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="counts through /proc")
async def test_growth_is_found(tmp_path: Path) -> None:
    """An app that keeps something of each event, a task and a file now and then, is seen to."""
    plan = replace(growth.GOAL.plan(Size.QUICK), workflows=1.0, leak=40_000)
    result = await growth.run(plan, tmp_path, seed=1)
    said = " ".join(result.problems)
    for kind in ("MB of memory", "open files", "tasks"):
        assert f"more {kind}" in said, result.text
    assert "the sidecar: " not in said


@pytest.mark.parametrize(
    ("samples", "says"),
    [
        (STEADY, []),
        ([replace(each, memory=80 + each.at / 100) for each in STEADY], ["6.0 more MB of memory"]),
        ([replace(each, files=20 + int(each.at)) for each in STEADY], ["600.0 more open files"]),
        ([replace(each, threads=int(each.at)) for each in STEADY], ["600.0 more threads"]),
        ([replace(each, tasks=int(each.at)) for each in STEADY], ["600.0 more tasks"]),
        ([replace(each, memory=80 + each.at % 10) for each in STEADY], []),
        ([replace(each, memory=80 + 5 * (each.at > 90)) for each in STEADY], []),
    ],
    ids=["steady", "memory", "files", "threads", "tasks", "saw", "step"],
)
def test_usage(samples: Sequence[Usage], says: Sequence[str]) -> None:
    """What grows steadily is told, what goes up and down, or once by a step, is not."""
    found = list(growing("it", samples, Bounds(1.0, 2.0)))
    assert len(found) == len(says)
    assert all(f"it: {text}" in line for text, line in zip(says, found, strict=True))
