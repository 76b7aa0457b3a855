"""Figure: what ``daprflow manifests`` takes for 100 handlers, from start to end of its process."""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.processes import BenchmarkError
from benchmarks.table import Figure, Section, at_most

HANDLERS = 100
APP = """from daprflow import DaprFlow
from daprflow.components import KafkaPubSub

app = DaprFlow("big")
app.component(KafkaPubSub("broker", brokers="kafka:9092", auth_type="none"))
"""
HANDLER = """
@app.topic("broker", "topic-{0}", dead_letter="dead-{0}")
async def handler_{0}(event: dict[str, int]) -> None: ...
"""


def measure(*, rounds: int) -> Section:
    """Write the files into a fresh folder each time; take the median."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "app.py").write_text(APP + "".join(map(HANDLER.format, range(HANDLERS))))
        (folder / "daprflow.toml").write_text('[manifests]\nscaling = { by = "lag" }\n')
        targets = ("kubernetes", "components")
        middle = {each: statistics.median(_seconds(folder, each, rounds)) for each in targets}
        declared = statistics.median(
            _seconds(folder, "kubernetes", rounds, "--subscriptions", "declarative")
        )
    return Section(
        f"Manifests of {HANDLERS} handlers",
        [
            Figure("kubernetes", middle["kubernetes"], "s", at_most(1.0)),
            Figure("kubernetes, a document for each topic", declared, "s", at_most(1.0)),
            Figure("components", middle["components"], "s", at_most(1.0)),
        ],
    )


def _seconds(folder: Path, target: str, rounds: int, *words: str) -> list[float]:
    taken = []
    for number in range(rounds):
        output = f"{target}-{len(words)}-{number}"
        command = [sys.executable, "-m", "daprflow", "manifests", "app.py", "--target", target]
        begun = time.perf_counter()
        done = subprocess.run(
            [*command, "-o", output, *words],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        taken.append(time.perf_counter() - begun)
        if done.returncode != 0 or not any((folder / output).rglob("*.yaml")):
            raise BenchmarkError(f"no manifests: {done.stderr}")
    return taken
