"""G3: workflows end exactly once, with exact results, however app and sidecar are killed."""

from pathlib import Path

from tests.faults.harness.goals import Goal, Measure, Result, Size
from tests.faults.workflow_kills import Plan, kill_again_and_again
from tests.helpers.kill_app import STEPS

STUCK = 60.0


async def run(plan: Plan, folder: Path, seed: int) -> Result:
    """Kill app and sidecar again and again while workflows run."""
    report = await kill_again_and_again(
        Plan(plan.workflows, plan.kills, seed, plan.pace, stuck=STUCK), folder
    )
    ended = len(report.outcomes)
    result = Result(
        {
            "workflows": ended,
            "activities": STEPS * ended,
            "kills of each": plan.kills,
            "activities run again after a kill": report.again,
        },
        list(report.problems),
        [Measure("the last one after", report.settled, "s", most=STUCK)],
    )
    if ended != plan.workflows:
        result.problems.append(f"{ended} of {plan.workflows} workflows ended")
    return result


GOAL = Goal(
    "G3",
    "workflows end exactly once, with exact results, when app and sidecar are killed",
    {
        Size.QUICK: Plan(20, 1, 0, 0.5),
        Size.FULL: Plan(1_000, 50, 0, 1.0),
        Size.SOAK: Plan(10_000, 500, 0, 1.0),
    },
    run,
)
