"""Figure: nine apps of one template: when all are healthy, what hosts them, a reload of one."""

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.processes import BenchmarkError, Child, resident_mib
from benchmarks.run import call
from benchmarks.table import Bound, Figure, Section, at_most

APPS = 9
PATIENCE = 30.0
APP = """
from daprflow import Client, DaprFlow, Endpoint, Topic

app = DaprFlow("svc{number}")
events = Topic("pubsub", "events{number}", str)
other = Endpoint("svc{other}", "generation", None, int)
GENERATION = {generation}


@app.topic(events, dead_letter="unreadable")
async def keep(event: str, *, client: Client) -> None:
    await client.state("statestore").set("last", [event, GENERATION])


@app.cron("tick{number}", "@every 1h")
async def tick(*, client: Client) -> None:
    await client.publish(events, "tick")


@app.invoke
async def generation() -> int:
    return GENERATION
"""


@dataclass(slots=True)
class Runs:
    """What every run showed: seconds and MiB."""

    healthy: list[float] = field(default_factory=list)
    reloaded: list[float] = field(default_factory=list)
    host: list[float] = field(default_factory=list)


def _write(folder: Path, number: int, generation: int) -> None:
    other = number % APPS + 1
    text = APP.format(number=number, other=other, generation=generation)
    place = folder / f"svc{number}"
    place.mkdir(exist_ok=True)
    (place / "app.py").write_text(text, encoding="utf-8")


def _write_all(folder: Path) -> None:
    lines = ["version: 1", "common: {appLogDestination: console}", "apps:"]
    for number in range(1, APPS + 1):
        _write(folder, number, 0)
        lines.append(f"- appDirPath: svc{number}")
    (folder / "dapr.yaml").write_text("\n".join(lines), encoding="utf-8")


@contextmanager
def _started(folder: Path) -> Iterator[tuple[Child, float]]:
    command = [sys.executable, "-m", "daprflow", "run", "-f", ".", "--sidecar", "embedded"]
    child = Child([*command, "--reload"], cwd=folder)
    began = time.perf_counter()
    child.start()
    try:
        while f"all {APPS} healthy" not in child.read_line(PATIENCE):
            pass
        yield child, time.perf_counter() - began
    finally:
        child.stop()


def _port(folder: Path, app_id: str) -> int:
    record = json.loads((folder / ".daprflow" / "run.json").read_bytes())
    return int(next(app["http_port"] for app in record["apps"] if app["app_id"] == app_id))


def _seconds_until_reloaded(folder: Path) -> float:
    """Save one app, publish, and wait until its next process has handled an event."""
    port = _port(folder, "svc1")
    began = time.perf_counter()
    _write(folder, 1, 1)
    while time.perf_counter() < began + PATIENCE:
        call(port, "POST", "/v1.0/publish/pubsub/events1", b'"after the change"')
        found = call(port, "GET", "/v1.0/state/statestore/last")
        if found and json.loads(found)[1] == 1:
            return time.perf_counter() - began
        time.sleep(0.02)
    raise BenchmarkError(f"the app that was saved handled no event within {PATIENCE:g} s")


def measure(*, rounds: int) -> Section:
    """Start nine apps ``rounds`` times, each in a new folder, and take the medians."""
    runs = Runs()
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            _write_all(folder)
            with _started(folder) as (child, seconds):
                runs.healthy.append(seconds)
                runs.reloaded.append(_seconds_until_reloaded(folder))
                runs.host.append(resident_mib(child.pid))
    return Section(f"daprflow run -f dapr.yaml, {APPS} apps", _figures(runs))


def _figures(runs: Runs) -> list[Figure]:
    def middle(name: str, values: list[float], unit: str, bound: Bound) -> Figure:
        note = f"{min(values):.3g} to {max(values):.3g}"
        return Figure(name, statistics.median(values), unit, bound, note)

    return [
        middle(f"all {APPS} healthy after", runs.healthy, "s", at_most(6.0)),
        middle("one saved until its next event is handled", runs.reloaded, "s", at_most(1.5)),
        middle("resident memory, process of the sidecars", runs.host, "MiB", at_most(150)),
    ]
