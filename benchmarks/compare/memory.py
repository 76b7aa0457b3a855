"""Section: resident memory of apps and sidecars."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

from benchmarks.client import FROM_RUNTIME, request_bytes
from benchmarks.compare import load
from benchmarks.compare.delivery import SERVED
from benchmarks.compare.results import OURS, Comparison, Group, Row
from benchmarks.compare.stage import (
    EMBEDDED,
    REAL,
    Peer,
    Ports,
    Stage,
    in_turn,
    resource,
    serving,
    sidecar,
)
from benchmarks.processes import Server, resident_mib, wait_until_ready, wait_until_served

SETTLED = 0.5
COMPONENTS = {
    "statestore": resource("statestore", "state.in-memory"),
    "events": resource("events", "pubsub.in-memory"),
}
OURS_SIDECAR = f"{OURS}, {EMBEDDED}"


def measure(stage: Stage) -> Comparison:
    """Measure apps, idle and after work, and sidecars."""
    seconds = 1.0 if stage.quick else 2.0
    return Comparison(
        "memory",
        "Memory",
        "Resident memory of fresh processes: an app with one handler after its first event and "
        f"after {seconds:g} s of deliveries over {load.CONNECTIONS} connections; a sidecar beside "
        "an app, with a store and a broker in memory.",
        [*_apps(stage, seconds), _sidecars(stage)],
        stage.missing_runtime(),
    )


def _apps(stage: Stage, seconds: float) -> list[Group]:
    notes = {name: stage.missing(peer.environment) for name, (peer, _) in SERVED.items()}
    worked: dict[str, list[float]] = {name: [] for name in SERVED}
    work: dict[str, Callable[[], float]] = {
        name: partial(_app, stage, peer, path, seconds, worked[name])
        for name, (peer, path) in SERVED.items()
        if not notes[name]
    }
    idle = in_turn(work, stage.rounds(5), notes, warm_up=0)
    return [
        Group(
            f"an app, {what}",
            "MiB",
            [Row(name, found.get(name, ()), note=notes[name]) for name in SERVED],
            more=False,
        )
        for what, found in (("idle", idle), ("after deliveries", worked))
    ]


def _app(stage: Stage, peer: Peer, path: str, seconds: float, worked: list[float]) -> float:
    with serving(stage, peer) as server:
        wait_until_served(server.port, request_bytes(path, load.event(), FROM_RUNTIME))
        idle = resident_mib(server.pid)
        load.over_http(stage.agent, server, path, load.event(), seconds)
        worked.append(resident_mib(server.pid))
        return idle


def _sidecars(stage: Stage) -> Group:
    notes = {OURS_SIDECAR: stage.missing("daprflow")}
    if stage.runtime:
        notes[REAL] = ""
    kinds = {OURS_SIDECAR: EMBEDDED, REAL: REAL}
    with serving(stage, Peer("daprflow", "answering")) as app:
        work = {
            name: partial(_sidecar, stage, kinds[name], app)
            for name, why in notes.items()
            if not why
        }
        found = in_turn(work, stage.rounds(5), notes, warm_up=0)
    rows = [Row(name, found.get(name, ()), OURS_SIDECAR, why) for name, why in notes.items()]
    return Group("a sidecar, idle", "MiB", rows, more=False)


def _sidecar(stage: Stage, kind: str, app: Server) -> float:
    free = Ports.free()
    ports = Ports(free.http, free.grpc, app.port)
    with ExitStack() as stack:
        child = stack.enter_context(sidecar(stage, kind, ports, COMPONENTS))
        wait_until_ready(ports.http)
        time.sleep(SETTLED)
        return resident_mib(child.pid)
