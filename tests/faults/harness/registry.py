"""The goals, in their order."""

from collections.abc import Sequence

from tests.faults.harness import (
    blocking,
    corruption,
    disks,
    etags,
    events,
    flood,
    fuzzing,
    growth,
    healing,
    orphans,
    picks,
    poison,
    released,
    timers,
    transactions,
    turns,
    workflows,
)
from tests.faults.harness.goals import Goal

GOALS: Sequence[Goal] = (
    events.KILLED,
    transactions.GOAL,
    workflows.GOAL,
    turns.GOAL,
    events.STOPPED,
    healing.GOAL,
    timers.GOAL,
    etags.GOAL,
    poison.GOAL,
    blocking.GOAL,
    flood.GOAL,
    growth.GOAL,
    orphans.GOAL,
    picks.GOAL,
    disks.GOAL,
    corruption.GOAL,
    released.GOAL,
    fuzzing.GOAL,
)
