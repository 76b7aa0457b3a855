"""Section: what becomes of figures as handlers and keys grow."""

import http.client
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial

import msgspec

from benchmarks.client import FROM_CLIENT, FROM_RUNTIME, request_bytes
from benchmarks.compare import load
from benchmarks.compare.results import OURS, Comparison, Curve
from benchmarks.compare.stage import (
    EMBEDDED,
    Peer,
    Ports,
    Stage,
    in_turn,
    resource,
    serving,
    sidecar,
)
from benchmarks.messages import Saturate, Saturated
from benchmarks.processes import (
    SERVER_CORE,
    BenchmarkError,
    resident_mib,
    wait_until_ready,
    wait_until_served,
)

HANDLERS = (1, 10, 100, 1_000)
KEYS = (1_000, 10_000, 100_000, 1_000_000)
AT_ONCE = 1_000
DRAWN = 1_000
"""How many of the keys are read and written, spread evenly over all."""
VALUE = {"id": "o-1", "total": 120}
APPS: Mapping[str, tuple[Peer, str]] = {
    OURS: (Peer("daprflow", "serve", ("handlers_daprflow",)), "/dapr/topics/pubsub/orders-{}"),
    "dapr.ext.fastapi": (Peer("dapr", "serve", ("handlers_official",)), "/on-order-{}"),
    "Litestar route, no Dapr": (Peer("litestar", "serve", ("handlers_litestar",)), "/on-order-{}"),
}
KINDS = {"in memory": "state.in-memory", "SQLite": "state.sqlite"}
Points = dict[str, dict[int, Sequence[float]]]


@dataclass(slots=True)
class Started:
    """What starts of one app showed: milliseconds, events a second, MiB."""

    ready: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)


def measure(stage: Stage) -> Comparison:
    """Measure both."""
    missing = stage.missing_runtime()
    if stage.quick:
        missing.append(f"`--quick` leaves {KEYS[-1]:,} keys out")
    return Comparison(
        "scale",
        "Scale",
        "*Handlers*: an app with so many topics, each with a typed handler, from the start of its "
        f"process to the first event of the last one; then events to that one, on one core over "
        f"{load.CONNECTIONS} connections. *Keys*: a sidecar on one core, whose store has so many "
        f"keys; {load.CONNECTIONS} connections read or write {DRAWN:,} of them in turn over HTTP.",
        [*_handlers(stage), *_keys(stage)],
        missing,
    )


def _handlers(stage: Stage) -> list[Curve]:
    notes = {
        name: why for name, (peer, _) in APPS.items() if (why := stage.missing(peer.environment))
    }
    found = {name: {size: Started() for size in HANDLERS} for name in APPS if name not in notes}
    for _ in range(stage.rounds(5, least=2)):
        for size in HANDLERS:
            for name, points in found.items():
                _start(stage, name, size, points[size])
    axis = "handlers"
    return [
        Curve("start of an app", "ms", axis, _points(found, "ready"), more=False, notes=notes),
        Curve(
            "delivery to the last handler", "events/s", axis, _points(found, "rates"), notes=notes
        ),
        Curve("memory of an app", "MiB", axis, _points(found, "memory"), more=False, notes=notes),
    ]


def _points(found: Mapping[str, Mapping[int, Started]], name: str) -> Points:
    return {
        contender: {size: getattr(each, name) for size, each in points.items()}
        for contender, points in found.items()
    }


def _start(stage: Stage, name: str, size: int, found: Started) -> None:
    peer, template = APPS[name]
    path, body = template.format(size - 1), load.event(f"orders-{size - 1}")
    began = time.perf_counter()
    with serving(stage, peer, SERVER_CORE, {"HANDLERS": str(size)}) as server:
        wait_until_served(server.port, request_bytes(path, body, FROM_RUNTIME))
        found.ready.append((time.perf_counter() - began) * 1e3)
        seconds = 0.25 if stage.quick else 0.5
        found.rates.append(load.over_http(stage.agent, server, path, body, seconds))
        found.memory.append(resident_mib(server.pid))


@dataclass(frozen=True, slots=True)
class Store:
    """A store of a running sidecar."""

    label: str
    component: str
    port: int
    pid: int


@dataclass(slots=True)
class Growth:
    """What stores reached as their keys grew, and which of them failed."""

    gets: Points = field(default_factory=dict)
    sets: Points = field(default_factory=dict)
    memory: Points = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


def _keys(stage: Stage) -> list[Curve]:
    found = Growth()
    for what, component in KINDS.items():
        with ExitStack() as stack:
            stores = [_store(stage, stack, kind, what, component) for kind in stage.sidecars]
            _grow(stage, stores, found)
    notes = found.failed
    return [
        Curve("state get", "calls/s", "keys", found.gets, notes=notes),
        Curve("state set", "calls/s", "keys", found.sets, notes=notes),
        Curve("memory of a sidecar", "MiB", "keys", found.memory, more=False, notes=notes),
    ]


def _grow(stage: Stage, stores: Sequence[Store], found: Growth) -> None:
    """Fill stores step by step, and measure all of them at each step."""
    before = 0
    for size in KEYS[:-1] if stage.quick else KEYS:
        there = [each for each in stores if each.label not in found.failed]
        for store in there:
            _fill(store, before, size)
        before = size
        for points, request in ((found.gets, _get), (found.sets, _set)):
            work = {each.label: partial(_rate, stage, each, request, size) for each in there}
            for label, rates in in_turn(work, stage.rounds(3), found.failed).items():
                points.setdefault(label, {})[size] = rates
        for store in there:
            found.memory.setdefault(store.label, {})[size] = [resident_mib(store.pid)]


def _store(stage: Stage, stack: ExitStack, kind: str, what: str, component: str) -> Store:
    free = Ports.free()
    ports = Ports(free.http, free.grpc, 0)
    text = resource("bench", component, connectionString="keys.db", busyTimeout="60s")
    child = stack.enter_context(sidecar(stage, kind, ports, {"bench": text}, core=SERVER_CORE))
    wait_until_ready(ports.http)
    name = OURS if kind == EMBEDDED else kind
    return Store(f"{name}, {what}", component, ports.http, child.pid)


def _fill(store: Store, first: int, end: int) -> None:
    """Write keys in batches."""
    connection = http.client.HTTPConnection("127.0.0.1", store.port, timeout=120)
    for start in range(first, end, AT_ONCE):
        items = [
            {"operation": "upsert", "request": {"key": f"key-{number}", "value": VALUE}}
            for number in range(start, min(end, start + AT_ONCE))
        ]
        body = msgspec.json.encode({"operations": items})
        headers = {"content-type": "application/json"}
        connection.request("POST", "/v1.0/state/bench/transaction", body, headers)
        done = connection.getresponse()
        said = done.read()
        if done.status >= 300:
            raise BenchmarkError(f"'{store.label}' refused keys: {done.status} {said[:200]!r}")
    connection.close()


def _get(key: str) -> bytes:
    head = f"GET /v1.0/state/bench/{key} HTTP/1.1\r\nhost: 127.0.0.1\r\n{FROM_CLIENT}\r\n"
    return head.encode()


def _set(key: str) -> bytes:
    body = msgspec.json.encode([{"key": key, "value": VALUE}])
    return request_bytes("/v1.0/state/bench", body, FROM_CLIENT)


def _rate(stage: Stage, store: Store, request: Callable[[str], bytes], size: int) -> float:
    step = size // DRAWN
    requests = tuple(request(f"key-{number * step}") for number in range(DRAWN))
    seconds = 0.4 if stage.quick else 0.6
    order = Saturate(store.port, requests[0], load.CONNECTIONS, seconds, 0.1, requests[1:])
    done = stage.agent.carry_out(order)
    if not isinstance(done, Saturated) or done.failures:  # no answer at all is a rate, too
        raise BenchmarkError(f"'{store.label}' refused: {done}")
    return done.answers / done.seconds
