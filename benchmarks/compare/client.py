"""Section: calls of a sidecar by client libraries."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial

from benchmarks.compare.results import OURS, Comparison, Group, Row
from benchmarks.compare.stage import (
    Peer,
    Ports,
    Stage,
    answer,
    in_turn,
    resource,
    serving,
    sidecar,
    started,
)
from benchmarks.processes import LOAD_CORE, SERVER_CORE, BenchmarkError, wait_until_ready

MANY = 32
OFFICIAL = "dapr.aio.clients"
CALLERS: Mapping[str, Peer] = {
    OURS: Peer("daprflow", "caller_daprflow"),
    OFFICIAL: Peer("dapr", "caller_official"),
    "aiohttp by hand": Peer("plain", "caller_plain", ("aiohttp",)),
    "httpx by hand": Peer("plain", "caller_plain", ("httpx",)),
}
COMPONENTS = {
    "bench": resource("bench", "state.in-memory"),
    "events": resource("events", "pubsub.in-memory"),
}


def measure(stage: Stage) -> Comparison:
    """Have each library read, write and publish."""
    groups: list[Group] = []
    for kind in stage.sidecars:
        groups += calls(stage, kind, {"get": "state get", "set": "state set", "publish": "publish"})
    return Comparison(
        "client",
        "Client",
        "A process on one core calls a sidecar on the other, with a store and a broker in memory: "
        f"one call after the other, and {MANY} at a time. daprflow decodes to a typed structure, "
        "the others to what `json` gives. Dapr's client speaks gRPC, the others HTTP.",
        groups,
        stage.missing_runtime(),
    )


def calls(stage: Stage, kind: str, works: Mapping[str, str]) -> list[Group]:
    """Measure kinds of calls of one sidecar, by every library, alone and many at a time."""
    seconds = 0.25 if stage.quick else 0.4
    notes = {name: stage.missing(peer.environment) for name, peer in CALLERS.items()}
    found: dict[tuple[str, int], dict[str, list[float]]] = {}
    with ExitStack() as stack:
        app = stack.enter_context(serving(stage, Peer("daprflow", "answering"), SERVER_CORE))
        free = Ports.free()
        ports = Ports(free.http, free.grpc, app.port)
        stack.enter_context(sidecar(stage, kind, ports, COMPONENTS, core=SERVER_CORE))
        wait_until_ready(ports.http)
        asked: dict[str, Callable[[str], str]] = {}
        for name, peer in CALLERS.items():
            if not notes[name]:
                child = stack.enter_context(started(stage, peer, ports.variables, LOAD_CORE))
                if child.read_line(60).strip() != "ready":
                    raise BenchmarkError(f"the caller '{name}' did not start")
                asked[name] = partial(answer, child)
        for work in works:
            for count in (1, MANY):
                order = f"{work} {count} {seconds}"
                rates = {name: partial(_rate, ask, order) for name, ask in asked.items()}
                found[work, count] = in_turn(rates, stage.rounds(5), notes)
    return [
        Group(
            f"{works[work]}, {kind}, {count} at a time",
            "calls/s",
            [Row(name, rates.get(name, ()), note=note) for name, note in notes.items()],
        )
        for (work, count), rates in found.items()
    ]


def _rate(ask: Callable[[str], str], order: str) -> float:
    return float(ask(order))
