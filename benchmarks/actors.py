"""Figures: calls of actors that change their state, beside the official SDK's; memory of many."""

import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.client import FROM_CLIENT, request_bytes
from benchmarks.messages import Saturate, Saturated
from benchmarks.processes import (
    Agent,
    BenchmarkError,
    Child,
    Server,
    cpu_seconds,
    free_port,
    resident_mib,
    wait_until_ready,
)
from benchmarks.table import Figure, Section, at_least, at_most, median_ratio

CALLERS, IDS, ACTIVE = 32, 50, 10_000
OURS, OFFICIAL = "daprflow", "dapr.ext.fastapi"
MODULES = {OURS: "actor_daprflow", OFFICIAL: "actor_official"}
STORE = """\
apiVersion: dapr.io/v1alpha1
kind: Component
metadata: {name: statestore}
spec: {type: state.in-memory, version: v1, metadata: [{name: actorStateStore, value: "true"}]}
"""


class Hosted:
    """An app with actors, and its sidecar."""

    def __init__(self, app: Child, sidecar: Server) -> None:
        self.app = app
        self.sidecar = sidecar


@contextmanager
def _hosted(module: str) -> Iterator[Hosted]:
    """Start an app and its sidecar, on whichever core is free: there are three processes."""
    port = free_port()
    serve = [sys.executable, "-m", "benchmarks.peers.serve", module]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (folder / "store.yaml").write_text(STORE)
        app = Child(["env", f"DAPR_HTTP_PORT={port}", *serve])
        app.start()
        stack.callback(app.stop)
        command = [
            *(sys.executable, "-m", "daprflow", "sidecar", "--app-id", "bench"),
            *("--app-port", app.read_line().strip(), "--dapr-http-port", str(port)),
            *("--resources-path", str(folder)),
        ]
        sidecar = Child(command, None, folder, quiet=True)
        sidecar.start()
        stack.callback(sidecar.stop)
        wait_until_ready(port)
        yield Hosted(app, Server(sidecar.pid, port))


def _requests(count: int) -> tuple[bytes, ...]:
    paths = (f"/v1.0/actors/Counter/c{number}/method/up" for number in range(count))
    return tuple(request_bytes(path, b"", FROM_CLIENT) for path in paths)


def _rate(agent: Agent, port: int, requests: tuple[bytes, ...], seconds: float) -> Saturated:
    order = Saturate(port, requests[0], CALLERS, seconds, others=requests[1:])
    done = agent.carry_out(order)
    if not isinstance(done, Saturated) or done.failures:
        raise BenchmarkError(f"a call of an actor failed: {done}")
    return done


def measure(agent: Agent, *, rounds: int, seconds: float) -> Section:
    """Call the counters of both apps in turn, then wake many of ours."""
    rates: dict[str, list[float]] = {name: [] for name in MODULES}
    costs: dict[str, list[float]] = {name: [] for name in MODULES}
    sidecars: dict[str, list[float]] = {name: [] for name in MODULES}
    requests = _requests(IDS)
    with ExitStack() as stack:
        hosted = {name: stack.enter_context(_hosted(each)) for name, each in MODULES.items()}
        for number in range(rounds + 1):
            for name, each in hosted.items():
                before = cpu_seconds(each.app.pid), cpu_seconds(each.sidecar.pid)
                done = _rate(agent, each.sidecar.port, requests, seconds)
                if number:  # the first round activates
                    rates[name].append(done.answers / done.seconds)
                    calls = done.answers * (1 + 0.2 / seconds)  # the warm-up's, too
                    costs[name].append((cpu_seconds(each.app.pid) - before[0]) / calls)
                    sidecars[name].append((cpu_seconds(each.sidecar.pid) - before[1]) / calls)
        mine = hosted[OURS]
        before_mib = resident_mib(mine.app.pid)
        _wake(agent, mine.sidecar.port)
        each_kib = (resident_mib(mine.app.pid) - before_mib) * 1024 / ACTIVE
    return Section(
        f"Actors that change their state, {CALLERS} callers, {IDS} ids",
        list(_figures(rates, costs, sidecars, each_kib)),
    )


def _wake(agent: Agent, port: int) -> None:
    """Call ten thousand actors at least once."""
    requests = _requests(ACTIVE)
    called = 0
    while called < ACTIVE:
        called += _rate(agent, port, requests[called:] or requests, 1.0).answers


def _figures(
    rates: dict[str, list[float]],
    costs: dict[str, list[float]],
    sidecars: dict[str, list[float]],
    each_kib: float,
) -> Iterator[Figure]:
    for name, found in rates.items():
        spent, beside = (statistics.median(each[name]) * 1e6 for each in (costs, sidecars))
        cost = f"{spent:.0f} µs of the app's processor time each, {beside:.0f} of the sidecar's"
        yield Figure(name, statistics.median(found), "calls/s", None, cost)
    ratio = median_ratio(rates[OURS], rates[OFFICIAL])
    note = f"{median_ratio(costs[OFFICIAL], costs[OURS]):.2f} by the app's processor time"
    yield Figure(f"{OURS} / {OFFICIAL}", ratio, "ratio", at_least(2.5), note)
    yield Figure(f"memory of an actor, {ACTIVE:,} active", each_kib, "KiB", at_most(4.0))
