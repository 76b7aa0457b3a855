"""Figures: durable workflows on the embedded engine, beside a bare loop; replay; idle costs."""

import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.request import Request, urlopen

import grpc
import msgspec

from benchmarks.messages import WorkflowSteps
from benchmarks.processes import (
    BenchmarkError,
    Child,
    Server,
    cpu_seconds,
    free_port,
    resident_mib,
    wait_until_ready,
)
from benchmarks.replaying import replay_seconds
from benchmarks.table import Bound, Figure, Section, at_least, at_most, median_ratio

CHAIN = FAN = MANY = 100
REPLAYED, WAITING = 10_000, 1_000
EDGE = 100
"""Steps at the beginning and at the end of a long workflow that are compared."""
IDLE_SECONDS = 5.0
PATIENCE = 300.0
SETTLED = 2.0
"""Seconds for both processes to come to rest."""


class Stage:
    """An app with workflows, its sidecar with the engine, and both sides of the bare loop."""

    def __init__(self, app: Child, port: int, sidecar: Server, bare: Child, hub: Child) -> None:
        self.app = app
        self.sidecar = sidecar
        self._port = port
        self._bare = bare
        self._hub = hub

    def ask(self, method: str, count: int) -> bytes:
        """Have the app measure something."""
        url = f"http://127.0.0.1:{self._port}/{method}"
        request = Request(url, str(count).encode(), {"content-type": "application/json"})
        with urlopen(request, timeout=PATIENCE) as answer:  # noqa: S310 - our own app's
            content: bytes = answer.read()
        return content

    def seconds(self, method: str, count: int) -> float:
        """Return the seconds that something takes."""
        return msgspec.json.decode(self.ask(method, count), type=float)

    def bare_seconds(self, count: int) -> float:
        """Return the seconds that a chain takes in the bare loop."""
        self._bare.write_line(str(count))
        return float(self._bare.read_line(PATIENCE))

    def processor(self) -> tuple[float, float]:
        """Return the processor seconds of app and sidecar."""
        return cpu_seconds(self.app.pid), cpu_seconds(self.sidecar.pid)

    def bare_processor(self) -> tuple[float, float]:
        """Return the processor seconds of both sides of the bare loop."""
        return cpu_seconds(self._bare.pid), cpu_seconds(self._hub.pid)

    def memory(self) -> tuple[float, float]:
        """Return the MiB of app and sidecar."""
        return resident_mib(self.app.pid), resident_mib(self.sidecar.pid)

    def switches(self) -> tuple[int, int]:
        """Return how often threads of app and sidecar gave up the processor."""
        return _switches(self.app.pid), _switches(self.sidecar.pid)


@contextmanager
def _stage() -> Iterator[Stage]:
    """Start everything, on whichever core is free: two processes work at a time."""
    http, rpc, port = free_port(), free_port(), free_port()
    peer = (sys.executable, "-m")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        command = [
            *(*peer, "daprflow", "sidecar", "--app-id", "bench", "--app-port", str(port)),
            *("--dapr-http-port", str(http), "--dapr-grpc-port", str(rpc)),
        ]
        sidecar = Child(command, None, folder, quiet=True)
        sidecar.start()
        stack.callback(sidecar.stop)
        _wait_for_grpc(rpc)  # as under `daprflow run`, where gRPC is there before the app's worker
        ports = (f"DAPR_HTTP_PORT={http}", f"DAPR_GRPC_PORT={rpc}")
        served = (*peer, "benchmarks.peers.serve", "workflow_daprflow", str(port))
        app = _started(stack, ["env", *ports, *served])
        app.read_line()
        wait_until_ready(http)
        module = "benchmarks.peers.workflow_bare"
        hub = _started(stack, [*peer, f"{module}_hub", str(folder / "bare.db")])
        bare = _started(stack, [*peer, f"{module}_worker", hub.read_line()])
        yield Stage(app, port, Server(sidecar.pid, http), bare, hub)


def _wait_for_grpc(port: int) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        grpc.channel_ready_future(channel).result(PATIENCE)


def _started(stack: ExitStack, command: list[str]) -> Child:
    child = Child(command)
    child.start()
    stack.callback(child.stop)
    return child


def _switches(pid: int) -> int:
    found = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        for line in (task / "status").read_text().splitlines():
            if line.startswith("voluntary_ctxt_switches"):
                found += int(line.split()[1])
    return found


@dataclass(slots=True)
class Rounds:
    """What every round took.

    Attributes:
        seconds: by what was done.
        processor: processor seconds of app and sidecar, likewise.
    """

    seconds: dict[str, list[float]] = field(default_factory=dict)
    processor: dict[str, list[tuple[float, float]]] = field(default_factory=dict)

    def add(
        self, name: str, seconds: float, before: tuple[float, float], after: tuple[float, float]
    ) -> None:
        """Note a round."""
        self.seconds.setdefault(name, []).append(seconds)
        spent = (after[0] - before[0], after[1] - before[1])
        self.processor.setdefault(name, []).append(spent)

    def figure(self, title: str, name: str, count: int, unit: str, bound: Bound | None) -> Figure:
        """Return the median rate of what was done, with what it cost each process."""
        rate = count / statistics.median(self.seconds[name])
        app, sidecar = (
            statistics.median(each) / count * 1e3
            for each in zip(*self.processor[name], strict=True)
        )
        note = f"processor time each: app {app:.2f} ms, sidecar {sidecar:.2f} ms"
        return Figure(title, rate, unit, bound, note)


def measure(*, rounds: int, steps: int) -> Section:
    """Measure each in turn, chain and bare loop right after one another."""
    found, bare = Rounds(), "bare"
    with _stage() as stage:
        for number in range(rounds + 2):
            for name, count in (("chain", CHAIN), ("fan", FAN), ("many", MANY)):
                before = stage.processor()
                seconds = stage.seconds(f"time_{name}", count)
                if number > 1:  # the first rounds only warm up
                    found.add(name, seconds, before, stage.processor())
                if name == "chain":
                    before = stage.bare_processor()
                    seconds = stage.bare_seconds(count)
                    if number > 1:
                        found.add(bare, seconds, before, stage.bare_processor())
        figures = list(_rates(found))
        figures += [_replay(rounds), _long(stage, steps), *_waiting(stage)]
    title = "Durable workflows: embedded engine (SQLite, FULL) and our worker, two processes"
    return Section(title, figures)


def _rates(found: Rounds) -> Iterator[Figure]:
    title = f"chain of {CHAIN} activities"
    yield found.figure(title, "chain", CHAIN, "activities/s", at_least(300))
    title = "bare loop of the same messages and commits"
    yield found.figure(title, "bare", CHAIN, "activities/s", None)
    ratio = median_ratio(found.seconds["bare"], found.seconds["chain"])
    by_processor = median_ratio(
        [sum(each) for each in found.processor["bare"]],
        [sum(each) for each in found.processor["chain"]],
    )
    note = f"{by_processor:.2f} by processor time"
    yield Figure("chain / bare loop", ratio, "ratio", at_least(0.65), note)
    yield found.figure(f"fan-out of {FAN}", "fan", FAN, "activities/s", at_least(1000))
    title = f"{MANY} workflows of 3 activities"
    yield found.figure(title, "many", MANY, "workflows/s", at_least(180))


def _replay(rounds: int) -> Figure:
    taken = [replay_seconds(REPLAYED) for _ in range(rounds + 1)][1:]
    note = f"decoding included, {min(taken) * 1e3:.0f} to {max(taken) * 1e3:.0f}"
    title = f"replay of {REPLAYED:,} steps"
    return Figure(title, statistics.median(taken) * 1e3, "ms", at_most(100), note)


def _long(stage: Stage, steps: int) -> Figure:
    """Compare the last steps of a long workflow with its first."""
    took = msgspec.json.decode(stage.ask("time_long", steps), type=WorkflowSteps)
    first = statistics.median(took.intervals[:EDGE])
    last = statistics.median(took.intervals[-EDGE:])
    note = f"{steps / took.seconds:.0f} steps/s; {first * 1e3:.2f} and {last * 1e3:.2f} ms"
    title = f"workflow of {steps:,} steps, last {EDGE} / first {EDGE}"
    return Figure(title, last / first, "ratio", at_most(2.0), note)


def _waiting(stage: Stage) -> Iterator[Figure]:
    """Have many workflows wait: what they hold, and that nothing runs meanwhile."""
    time.sleep(SETTLED)
    before = stage.memory()
    if stage.ask("wait_many", WAITING) != str(WAITING).encode():
        raise BenchmarkError("not all workflows began that should wait")
    time.sleep(SETTLED)
    after = stage.memory()
    for name, one, other in zip(("app", "sidecar"), before, after, strict=True):
        title = f"memory of a waiting workflow, {name}, {WAITING:,} of them"
        yield Figure(title, (other - one) * 1024 / WAITING, "KiB", at_most(24))
    busy, switched = stage.processor(), stage.switches()
    time.sleep(IDLE_SECONDS)
    spent = [(b - a) / IDLE_SECONDS for a, b in zip(busy, stage.processor(), strict=True)]
    woken = [(b - a) / IDLE_SECONDS for a, b in zip(switched, stage.switches(), strict=True)]
    for name, share, rate in zip(("app", "sidecar"), spent, woken, strict=True):
        note = f"woken {rate:.1f} times a second"
        yield Figure(f"idle {name} with them", share * 100, "% of a core", at_most(1), note)
