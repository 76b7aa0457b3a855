"""Section: actors that change their state with each call."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial

from benchmarks.client import FROM_CLIENT, request_bytes
from benchmarks.compare.results import OURS, Comparison, Group, Row
from benchmarks.compare.stage import (
    EMBEDDED,
    Hosted,
    Peer,
    Stage,
    control_plane,
    hosted,
    in_turn,
    resource,
)
from benchmarks.messages import Saturate, Saturated
from benchmarks.processes import BenchmarkError, resident_mib

CALLERS, IDS, ACTIVE = 32, 50, 10_000
OFFICIAL = "dapr.ext.fastapi"
HOSTS: Mapping[str, Peer] = {
    OURS: Peer("daprflow", "serve", ("actor_daprflow",)),
    OFFICIAL: Peer("dapr", "serve", ("actor_official",)),
}
STORE = {"statestore": resource("statestore", "state.in-memory", actorStateStore="true")}


def measure(stage: Stage) -> Comparison:
    """Call the same counters of both frameworks behind both sidecars, then wake many."""
    groups: list[Group] = []
    for kind in stage.sidecars:
        groups += _behind(stage, kind)
    return Comparison(
        "actors",
        "Actors",
        f"{CALLERS} callers over HTTP call {IDS} counters in turn; each call reads a number, adds "
        "one and saves it, in a store in memory. App, sidecar and callers share two cores. "
        f"*Memory*: what the app's process grows by, for each of {ACTIVE:,} active actors.",
        groups,
        stage.missing_runtime(),
    )


def _behind(stage: Stage, kind: str) -> list[Group]:
    seconds = 0.5 if stage.quick else 0.8
    notes = {name: stage.missing(peer.environment) for name, peer in HOSTS.items()}
    grown: dict[str, list[float]] = {}
    with ExitStack() as stack:
        plane = None if kind == EMBEDDED else stack.enter_context(control_plane(stage))
        apps = {
            name: stack.enter_context(hosted(stage, kind, peer, STORE, plane))
            for name, peer in HOSTS.items()
            if not notes[name]
        }
        work: dict[str, Callable[[], float]] = {
            name: partial(_rate, stage, app, _requests(0, IDS), seconds)
            for name, app in apps.items()
        }
        for app in apps.values():
            _first_answer(stage, app)
        found = in_turn(work, stage.rounds(7), notes)
        if kind == EMBEDDED:
            count = ACTIVE
            grown = {name: [_wake(stage, app, count)] for name, app in apps.items()}
    rows = [Row(name, found.get(name, ()), note=note) for name, note in notes.items()]
    groups = [Group(f"calls of actors, {kind}", "calls/s", rows)]
    if grown:
        sizes = [Row(name, grown.get(name, ()), note=note) for name, note in notes.items()]
        groups.append(Group("memory of an active actor in the app", "KiB", sizes, more=False))
    return groups


def _requests(first: int, end: int) -> tuple[bytes, ...]:
    paths = (f"/v1.0/actors/Counter/c{number}/method/up" for number in range(first, end))
    return tuple(request_bytes(path, b"", FROM_CLIENT) for path in paths)


def _called(stage: Stage, app: Hosted, requests: tuple[bytes, ...], seconds: float) -> Saturated:
    order = Saturate(app.ports.http, requests[0], CALLERS, seconds, 0.1, requests[1:])
    done = stage.agent.carry_out(order)
    if not isinstance(done, Saturated):
        raise BenchmarkError(f"actors could not be called: {done}")
    return done


def _first_answer(stage: Stage, app: Hosted) -> None:
    """Call until actors answer: a real runtime first learns where they are."""
    for _ in range(120):
        if not _called(stage, app, _requests(0, IDS), 0.5).failures:
            return
    raise BenchmarkError("no call of an actor was answered well within a minute")


def _rate(stage: Stage, app: Hosted, requests: tuple[bytes, ...], seconds: float) -> float:
    done = _called(stage, app, requests, seconds)
    if done.failures:
        raise BenchmarkError(f"a call of an actor failed: {done}")
    return done.answers / done.seconds


def _wake(stage: Stage, app: Hosted, count: int) -> float:
    """Call each of many new actors at least once, and return the KiB that each takes."""
    requests = _requests(IDS, IDS + count)
    before = resident_mib(app.app.pid)
    called = 0
    while called < count:
        called += _called(stage, app, requests[called:], 1.0).answers
    return (resident_mib(app.app.pid) - before) * 1024 / count
