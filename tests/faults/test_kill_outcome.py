"""What counts as wrong when workflows were killed."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from tests.helpers.kill_app import STEPS, key
from tests.helpers.kill_ledger import ActivityRun
from tests.helpers.kill_outcome import Outcome, problems

RUNS = [f"1.{number}" for number in range(STEPS)]
GOOD = Outcome("w", RUNS, {"0.0": False, "0.1": True, "1.0": True}, ("0.1", "1.0"))


def ran(run: str, *, ended: bool) -> ActivityRun:
    """Return a run; its id begins with its process."""
    return ActivityRun(run, run.partition(".")[0], 0, ended=ended)


def told(outcome: Outcome, *first: ActivityRun) -> Sequence[str]:
    """Say what is wrong, where the runs of the first activity were these."""
    ledger = {key("w", number): [ran(run, ended=True)] for number, run in enumerate(RUNS)}
    if first:
        ledger[key("w", 0)] = list(first)
    return list(problems([outcome], ledger, alone=True))


def test_nothing_is_wrong() -> None:
    """All steps ran once, acknowledged tokens came once and in order."""
    assert told(GOOD) == []
    assert told(replace(GOOD, seen=("0.0", "0.1", "1.0"))) == []


def test_a_run_that_was_cut_is_not_wrong() -> None:
    """A later process may run what an earlier one did not bring to a kept result."""
    first, second = ran("1.0", ended=False), ran("2.0", ended=True)
    assert told(replace(GOOD, runs=["2.0", *RUNS[1:]]), first, second) == []


@pytest.mark.parametrize(
    ("outcome", "runs", "text"),
    [
        (replace(GOOD, runs=RUNS[1:]), (), "4 results"),
        (replace(GOOD, runs=["9.9", *RUNS[1:]]), (), "none of"),
        (GOOD, (ran("1.0", ended=True), ran("2.0", ended=True)), "was kept"),
        (
            GOOD,
            (ran("1.9", ended=True), ran("1.0", ended=True)),
            "one process",
        ),
        (GOOD, (ran("1.0", ended=False),), "did not end"),
        (replace(GOOD, seen=("0.1",)), (), "was sent"),
        (replace(GOOD, seen=("1.0", "0.1")), (), "was sent"),
        (replace(GOOD, seen=("0.1", "1.0", "1.0")), (), "twice"),
        (replace(GOOD, seen=("0.1", "1.0", "2.0")), (), "nobody sent"),
    ],
)
def test_what_is_wrong_is_told(outcome: Outcome, runs: tuple[ActivityRun, ...], text: str) -> None:
    """A missing result, a run too many, a token that was lost, doubled, moved or made up."""
    assert any(text in problem for problem in told(outcome, *runs))
