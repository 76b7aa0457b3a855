"""Section: invocation, by callers through a sidecar and at the app that answers."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial

from benchmarks.compare import client, load
from benchmarks.compare.results import OURS, Comparison, Group, Row
from benchmarks.compare.stage import (
    Peer,
    Stage,
    in_turn,
    serving,
    started,
    wait_for_grpc,
)
from benchmarks.processes import SERVER_CORE, free_port
from daprflow.protocol import messages

BODY = b'{"id":"o-1","total":120}'
GRPC = "dapr.ext.grpc"
SERVED: Mapping[str, Peer] = {
    OURS: Peer("daprflow", "serve", ("quote_daprflow",)),
    "FastAPI route, no Dapr": Peer("fastapi", "serve", ("fastapi_route",)),
    "Litestar route, no Dapr": Peer("litestar", "serve", ("litestar_route",)),
}


def measure(stage: Stage) -> Comparison:
    """Measure callers, then apps."""
    groups: list[Group] = []
    for kind in stage.sidecars:
        groups += client.calls(stage, kind, {"invoke": "invoke"})
    return Comparison(
        "invocation",
        "Invocation",
        "*Callers*: a process on one core invokes through a sidecar an app that answers at once; "
        "sidecar and app share the other core. *At the app*: a method with a typed body and answer "
        f"is called over {load.CONNECTIONS} connections, as the sidecar would.",
        [*groups, _answered(stage)],
        stage.missing_runtime(),
    )


def _answered(stage: Stage) -> Group:
    seconds = 0.3 if stage.quick else 0.5
    notes = {name: stage.missing(peer.environment) for name, peer in SERVED.items()}
    notes[GRPC] = stage.missing("dapr")
    work: dict[str, Callable[[], float]] = {}
    with ExitStack() as stack:
        for name, peer in SERVED.items():
            if not notes[name]:
                server = stack.enter_context(serving(stage, peer, SERVER_CORE))
                work[name] = partial(load.over_http, stage.agent, server, "/quote", BODY, seconds)
        if not notes[GRPC]:
            port = free_port()
            peer = Peer("dapr", "grpc_official", (str(port),))
            stack.enter_context(started(stage, peer, None, SERVER_CORE)).read_line(60)
            wait_for_grpc(port)
            work[GRPC] = partial(load.over_grpc, port, "OnInvoke", _invocation(), seconds)
        found = in_turn(work, stage.rounds(7), notes)
    rows = [Row(name, found.get(name, ()), note=note) for name, note in notes.items()]
    return Group("invocation at the app, one core", "calls/s", rows)


def _invocation() -> bytes:
    request = messages.InvokeRequest(method="quote", content_type="application/json")
    request.data.value = BODY
    return request.SerializeToString()
