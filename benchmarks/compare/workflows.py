"""Section: durable workflows, by worker and by the sidecar that has the engine."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from urllib.request import Request, urlopen

from benchmarks.compare.results import OURS, Comparison, Group, Row
from benchmarks.compare.stage import (
    EMBEDDED,
    PATIENCE,
    Peer,
    Plane,
    Ports,
    Stage,
    answer,
    control_plane,
    hosted,
    in_turn,
    resource,
    sidecar,
    started,
)
from benchmarks.processes import STARTING, BenchmarkError

OFFICIAL = "dapr.ext.workflow"
WORKS: Mapping[str, tuple[str, str]] = {
    "chain": ("a chain of 100 activities", "activities/s"),
    "many": ("100 workflows of 3 activities at once", "workflows/s"),
}
COUNT = 100
STORE = {
    "statestore": resource(
        "statestore",
        "state.sqlite",
        actorStateStore="true",
        connectionString="workflows.db",
        busyTimeout="60s",  # a real runtime refuses what comes at once otherwise
    )
}


def measure(stage: Stage) -> Comparison:
    """Run the same workflows on both workers, behind both sidecars."""
    groups: list[Group] = []
    for kind in stage.sidecars:
        groups += _behind(stage, kind)
    return Comparison(
        "workflows",
        "Workflows",
        "A worker and the sidecar with the engine, on two cores, from the start of the workflow to "
        "its result. State is in a SQLite file with both sidecars; the embedded one commits each "
        "step with `synchronous=FULL`, a real runtime as its component does by default, and keeps "
        "reminders in its scheduler.",
        groups,
        stage.missing_runtime(),
    )


def _behind(stage: Stage, kind: str) -> list[Group]:
    notes = {OURS: stage.missing("daprflow"), OFFICIAL: stage.missing("dapr")}
    found: dict[str, dict[str, list[float]]] = {}
    with ExitStack() as stack:
        plane = None if kind == EMBEDDED else stack.enter_context(control_plane(stage))
        takers: dict[str, Callable[[str], float]] = {}
        if not notes[OURS]:
            takers[OURS] = _ours(stage, kind, plane, stack)
        if not notes[OFFICIAL]:
            takers[OFFICIAL] = _official(stage, kind, plane, stack)
        rounds = stage.rounds(9) if kind == EMBEDDED else stage.rounds(4, least=2)
        for work in WORKS:
            rates = {name: partial(_rate, take, work) for name, take in takers.items()}
            found[work] = in_turn(rates, rounds, notes)
    return [
        Group(
            f"{title}, {kind}",
            unit,
            [Row(name, found[work].get(name, ()), note=note) for name, note in notes.items()],
        )
        for work, (title, unit) in WORKS.items()
    ]


def _rate(take: Callable[[str], float], work: str) -> float:
    return COUNT / take(work)


def _ours(stage: Stage, kind: str, plane: Plane | None, stack: ExitStack) -> Callable[[str], float]:
    peer = Peer("daprflow", "serve", ("workflow_daprflow",))
    app = stack.enter_context(hosted(stage, kind, peer, STORE, plane))

    def take(work: str) -> float:
        url = f"http://127.0.0.1:{app.ports.app}/time_{work}"
        request = Request(url, str(COUNT).encode(), {"content-type": "application/json"})
        with urlopen(request, timeout=PATIENCE) as done:  # noqa: S310 - our own app's
            return float(done.read())

    return take


def _official(
    stage: Stage, kind: str, plane: Plane | None, stack: ExitStack
) -> Callable[[str], float]:
    free = Ports.free()
    ports = Ports(free.http, free.grpc, 0)
    stack.enter_context(sidecar(stage, kind, ports, STORE, plane=plane))
    peer = Peer("dapr", "workflow_official")
    child = stack.enter_context(started(stage, peer, ports.variables))
    said = child.read_line(STARTING)
    while said.strip() != "ready":  # the library itself prints
        said = child.read_line(STARTING)

    def take(work: str) -> float:
        said = answer(child, f"{work} {COUNT}")
        try:
            return float(said)
        except ValueError:
            raise BenchmarkError(f"'{OFFICIAL}' said '{said}'") from None

    return take
