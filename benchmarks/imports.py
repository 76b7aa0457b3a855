"""Figure: what an import costs, beside the imports it cannot do without."""

import statistics
import subprocess
import sys

from benchmarks.processes import ROOT
from benchmarks.table import Figure, Section, at_most

PROGRAM = "import time; t = time.perf_counter(); import {}; print(time.perf_counter() - t)"
BASE = "starlette, msgspec"
NEEDED = "starlette.applications, msgspec"
OURS = "daprflow"


def _import_seconds(modules: str) -> float:
    command = [sys.executable, "-c", PROGRAM.format(modules)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
    return float(done.stdout)


def measure(*, rounds: int) -> Section:
    """Import each in fresh processes in turn and compare the medians."""
    seconds: dict[str, list[float]] = {BASE: [], NEEDED: [], OURS: []}
    for _ in range(rounds):
        for modules, measured in seconds.items():
            measured.append(_import_seconds(modules) * 1e3)
    middle = {modules: statistics.median(measured) for modules, measured in seconds.items()}
    return Section(
        "Import",
        [
            *(Figure(f"import {modules}", value, "ms") for modules, value in middle.items()),
            Figure(f"daprflow, beyond {BASE}", middle[OURS] - middle[BASE], "ms more", at_most(60)),
            Figure(f"daprflow, beyond {NEEDED}", middle[OURS] - middle[NEEDED], "ms more"),
        ],
    )
