"""Ten thousand random workflows whose engine and worker are crashed, cut off and held up anywhere.

Engine, worker, replay and store are the real ones, joined without sockets under one scheduler; see
`world`. What must come of each program says `model`, which knows neither of them.

By default each Python runs 5,000 seeds of its own, so that CI, which has two Pythons at the least,
runs 10,000 or more; ``--simulation-seeds N`` runs the first N instead. A seed that fails is printed
with the command that repeats it.
"""

import subprocess
import sys
from pathlib import Path

from tests.helpers.simulated_seeds import Seeds
from tests.simulation.run import simulate

ROOT = Path(__file__).parents[2]
TRACE = """
import sys
from tests.simulation.run import simulate
print(*[simulate(seed).digest for seed in map(int, sys.argv[1:])])
"""


def test_every_workflow_ends_exactly(simulation_seeds: Seeds) -> None:
    """Nothing comes early, twice or not at all, whatever is lost, repeated, late or down."""
    for seed in simulation_seeds:
        simulate(seed)


def test_a_seed_is_one_run() -> None:
    """The same seed gives the same steps, in this process and in another one with other hashes."""
    seeds = [3, 5, 8, 13, 21, 34]
    first = [simulate(seed).digest for seed in seeds]
    again = [simulate(seed).digest for seed in seeds]
    assert first == again
    assert len(set(first)) == len(seeds)
    command = [sys.executable, "-c", TRACE, *map(str, seeds)]
    environment = {"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "7"}
    other = subprocess.run(command, capture_output=True, check=True, env=environment, text=True)
    assert other.stdout.split() == first


def test_runs_do_what_they_are_for() -> None:
    """Among a few hundred seeds there are faults of every kind, in some hundreds of activities."""
    reports = [simulate(seed) for seed in range(60)]
    assert sum(report.activities for report in reports) > 150
    assert sum(report.cuts for report in reports) > 60
    assert any(report.cuts == 0 for report in reports)
