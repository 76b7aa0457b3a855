"""Figures: the client beside the official SDK, bare aiohttp and an httpx transport."""

import os
import statistics
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.peers.calling import KEY, STORE
from benchmarks.processes import (
    LOAD_CORE,
    SERVER_CORE,
    BenchmarkError,
    Child,
    free_port,
    serving,
    wait_until_ready,
)
from benchmarks.run import call
from benchmarks.table import Figure, Section, at_least, median_ratio

MANY = 32
COMPONENT = f"""\
apiVersion: dapr.io/v1alpha1
kind: Component
metadata: {{name: {STORE}}}
spec: {{type: state.in-memory, version: v1}}
"""
OURS, OFFICIAL, BARE, HTTPX = "daprflow", "official", "aiohttp", "httpx"
Rates = dict[tuple[str, int], list[float]]


@contextmanager
def _sidecar(folder: Path, app_port: int) -> Iterator[Mapping[str, str]]:
    """Start a sidecar, a real runtime where ``DAPR_RUNTIME_PATH`` names one; gives its ports."""
    http, grpc = free_port(), free_port()
    (folder / "store.yaml").write_text(COMPONENT)
    shared = ["--app-id=bench", f"--app-port={app_port}", f"--resources-path={folder}"]
    ports = [f"--dapr-http-port={http}", f"--dapr-grpc-port={grpc}"]
    command = [sys.executable, "-m", "daprflow", "sidecar", *shared, f"--dapr-http-port={http}"]
    if home := os.environ.get("DAPR_RUNTIME_PATH"):
        daprd = str(Path(home) / ".dapr" / "bin" / "daprd")
        listen = ["--dapr-listen-addresses=127.0.0.1", "--metrics-port", str(free_port())]
        command = [daprd, *shared, *ports, *listen, "--log-level=error"]
    child = Child(command, SERVER_CORE, folder, quiet=True)
    child.start()
    try:
        wait_until_ready(http)
        value = b'[{"key":"%s","value":{"id":"o-1","total":120}}]' % KEY.encode()
        call(http, "POST", f"/v1.0/state/{STORE}", value)
        yield {"DAPR_HTTP_PORT": str(http), "DAPR_GRPC_PORT": str(grpc)}
    finally:
        child.stop()


@contextmanager
def _caller(kind: str, work: str, environment: Mapping[str, str]) -> Iterator[Child]:
    settings = [f"{name}={value}" for name, value in environment.items()]
    command = ["env", *settings, sys.executable, "-m", "benchmarks.peers.calling", kind, work]
    child = Child(command, LOAD_CORE)
    child.start()
    try:
        if child.read_line(patience=30).strip() != "ready":
            raise BenchmarkError(f"the caller '{kind}' did not start")
        yield child
    finally:
        child.stop()


def _measure(work: str, kinds: tuple[str, ...], rounds: int, seconds: float) -> Rates:
    """Have each library call in turn, alone and with many callers."""
    rates: Rates = {(kind, callers): [] for kind in kinds for callers in (1, MANY)}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        app = stack.enter_context(serving("answering"))
        environment = stack.enter_context(_sidecar(folder, app.port))
        callers = {kind: stack.enter_context(_caller(kind, work, environment)) for kind in kinds}
        for _ in range(rounds):
            for (kind, count), found in rates.items():
                callers[kind].write_line(f"{count} {seconds}")
                found.append(float(callers[kind].read_line(patience=30)))
    return rates


def measure(*, rounds: int, seconds: float) -> Section:
    """Compare the libraries, pairwise by round."""
    real = bool(os.environ.get("DAPR_RUNTIME_PATH"))
    state = (OURS, BARE, HTTPX, OFFICIAL) if real else (OURS, BARE, HTTPX)
    figures = [
        *_figures("state get", _measure("state", state, rounds, seconds)),
        *_figures("invoke", _measure("invoke", (OURS, BARE, OFFICIAL), rounds, seconds)),
    ]
    return Section(f"Client calls of {'daprd' if real else 'the embedded sidecar'}", figures)


def _figures(work: str, rates: Rates) -> Iterator[Figure]:
    bounds = {
        ("state get", OFFICIAL, 1): at_least(1.6),
        ("state get", OFFICIAL, MANY): at_least(1.0),
        ("state get", BARE, 1): at_least(0.9),
        ("state get", BARE, MANY): at_least(0.9),
        ("invoke", OFFICIAL, MANY): at_least(1.8),
    }
    for (kind, count), found in rates.items():
        yield Figure(f"{work}, {kind}, {count} at a time", statistics.median(found), "calls/s")
    for (kind, count), found in rates.items():
        if kind != OURS:
            ratio = median_ratio(rates[OURS, count], found)
            bound = bounds.get((work, kind, count))
            yield Figure(f"{work}, daprflow / {kind}, {count} at a time", ratio, "ratio", bound)
