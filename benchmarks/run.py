"""Figure: how soon ``daprflow run examples/quickstart`` is ready, and what it holds in memory."""

import http.client
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.processes import ROOT, BenchmarkError, Child, free_port, resident_mib
from benchmarks.table import Bound, Figure, Section, at_most

TARGET = ROOT / "examples" / "quickstart"
READY = "ready"
AMOUNT = 1_000_000
"""Far above what the quickstart's own orders add up to meanwhile."""


@dataclass(slots=True)
class Runs:
    """What every run showed: seconds and MiB."""

    ready: list[float] = field(default_factory=list)
    handled: list[float] = field(default_factory=list)
    app: list[float] = field(default_factory=list)
    sidecar: list[float] = field(default_factory=list)


@contextmanager
def _started(folder: Path, port: int) -> Iterator[tuple[Child, float]]:
    command = [sys.executable, "-m", "daprflow", "run", str(TARGET), "--sidecar", "embedded"]
    child = Child([*command, "--dapr-http-port", str(port)], cwd=folder)
    began = time.perf_counter()
    child.start()
    try:
        while READY not in child.read_line().lower():
            pass
        yield child, time.perf_counter() - began
    finally:
        child.stop()


def call(port: int, method: str, path: str, body: bytes | None = None) -> bytes:
    """Make one request and return its answer's body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request(method, path, body, {"content-type": "application/json"})
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    if answer.status >= 300:
        raise BenchmarkError(f"{method} {path} was answered {answer.status} {content!r}")
    return content


def _seconds_until_handled(port: int) -> float:
    order = json.dumps({"id": "bench", "total": AMOUNT}).encode()
    began = time.perf_counter()
    call(port, "POST", "/v1.0/publish/pubsub/orders", order)
    while time.perf_counter() < began + 10:
        if int(call(port, "GET", "/v1.0/state/statestore/total") or 0) >= AMOUNT:
            return time.perf_counter() - began
    raise BenchmarkError("the quickstart did not handle an order within 10 s")


def _descendants(pid: int) -> Iterator[int]:
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in map(int, (task / "children").read_text().split()):
            yield child
            yield from _descendants(child)


def measure(*, rounds: int) -> Section:
    """Start the quickstart ``rounds`` times, each in a new folder, and take the medians."""
    runs = Runs()
    for _ in range(rounds):
        port = free_port()
        with tempfile.TemporaryDirectory() as name, _started(Path(name), port) as (child, seconds):
            runs.ready.append(seconds)
            runs.handled.append(_seconds_until_handled(port))
            runs.sidecar.append(resident_mib(child.pid))
            runs.app.append(max(map(resident_mib, _descendants(child.pid))))
    return Section("daprflow run examples/quickstart", _figures(runs))


def _figures(runs: Runs) -> list[Figure]:
    def middle(name: str, values: list[float], unit: str, bound: Bound, scale: int = 1) -> Figure:
        note = f"{min(values) * scale:.3g} to {max(values) * scale:.3g}"
        return Figure(name, statistics.median(values) * scale, unit, bound, note)

    return [
        middle("ready after", runs.ready, "s", at_most(1.0)),
        middle("first event handled after", runs.handled, "ms", at_most(50), 1000),
        middle("resident memory, app", runs.app, "MiB", at_most(60)),
        middle("resident memory, sidecar", runs.sidecar, "MiB", at_most(80)),
    ]
