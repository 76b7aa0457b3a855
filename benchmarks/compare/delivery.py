"""Section: events delivered to apps, and events published and handled through brokers."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from urllib.request import Request, urlopen

from benchmarks.compare import load
from benchmarks.compare.results import OURS, Comparison, Group, Row
from benchmarks.compare.stage import (
    EMBEDDED,
    PATIENCE,
    Peer,
    Stage,
    answer,
    hosted,
    in_turn,
    resource,
    serving,
    started,
    wait_for_grpc,
)
from benchmarks.processes import SERVER_CORE, free_port
from daprflow.protocol import messages

SERVED: Mapping[str, tuple[Peer, str]] = {
    OURS: (Peer("daprflow", "serve", ("typed_daprflow",)), "/dapr/topics/pubsub/orders"),
    "dapr.ext.fastapi": (Peer("dapr", "serve", ("dapr_fastapi",)), "/on-order"),
    "FastAPI route, no Dapr": (Peer("fastapi", "serve", ("fastapi_route",)), "/on-order"),
    "Litestar route, no Dapr": (Peer("litestar", "serve", ("litestar_route",)), "/on-order"),
    "Starlette route, no Dapr": (Peer("plain", "serve", ("starlette_route",)), "/on-order"),
    "ASGI function with msgspec": (Peer("plain", "serve", ("raw_asgi",)), "/on-order"),
}
GRPC = "dapr.ext.grpc"
REDIS = "Redis"
BUILT_IN = "broker in a file"


def measure(stage: Stage) -> Comparison:
    """Measure both."""
    flows, missing = _flows(stage)
    return Comparison(
        "delivery",
        "Events",
        f"*Delivery*: an app under uvicorn on one core of its own is given CloudEvents over "
        f"{load.CONNECTIONS} connections; each is decoded, typed and handled (`{GRPC}` by its own "
        "gRPC server with threads). *Published and handled*: one app publishes events from 32 "
        "tasks by its library's client and handles them all, everything on two cores.",
        [_delivered(stage), *flows],
        missing,
    )


def _delivered(stage: Stage) -> Group:
    seconds = 0.4 if stage.quick else 0.6
    notes = {name: stage.missing(peer.environment) for name, (peer, _) in SERVED.items()}
    notes[GRPC] = stage.missing("dapr")
    work: dict[str, Callable[[], float]] = {}
    with ExitStack() as stack:
        for name, (peer, path) in SERVED.items():
            if not notes[name]:
                server = stack.enter_context(serving(stage, peer, SERVER_CORE))
                body = load.event()
                work[name] = partial(load.over_http, stage.agent, server, path, body, seconds)
        if not notes[GRPC]:
            port = stack.enter_context(_grpc_app(stage))
            work[GRPC] = partial(load.over_grpc, port, "OnTopicEvent", _grpc_event(), seconds)
        found = in_turn(work, stage.rounds(9), notes)
    rows = [Row(name, found.get(name, ()), note=notes[name]) for name in notes]
    return Group("delivery to an app, one core", "events/s", rows)


@contextmanager
def _grpc_app(stage: Stage) -> Iterator[int]:
    port = free_port()
    with started(stage, Peer("dapr", "grpc_official", (str(port),)), None, SERVER_CORE) as child:
        child.read_line(60)
        wait_for_grpc(port)
        yield port


def _grpc_event() -> bytes:
    event = messages.TopicEventRequest(
        id="5f1b0a52", source="bench", type="com.dapr.event.sent", spec_version="1.0"
    )
    event.data_content_type, event.data = "application/json", b'{"id":1}'
    event.topic, event.pubsub_name = "orders", "pubsub"
    return event.SerializeToString()


def _flows(stage: Stage) -> tuple[list[Group], list[str]]:
    """Publish and handle through Redis, and through the broker that needs nothing."""
    missing = [*stage.missing_runtime()]
    if stage.redis is None:
        missing.append("no Redis (`--redis HOST:PORT`, or `redis-server`): no figures through it")
    groups = [_through(stage, REDIS)] if stage.redis else []
    return [*groups, _through(stage, BUILT_IN)], missing


def _through(stage: Stage, broker: str) -> Group:
    """Measure one broker, with and without a sidecar in between."""
    count = 1_000 if stage.quick else 2_000
    host = stage.redis or ""
    component = {REDIS: resource("events", "pubsub.redis", redisHost=host)}
    ours = Peer("daprflow", "serve", ("flow_daprflow",))
    theirs = Peer("dapr", "serve", ("flow_official",))
    work: dict[str, Callable[[], float]] = {}
    notes: dict[str, str] = {}
    beside: dict[str, str] = {}
    with ExitStack() as stack:
        for kind in stage.sidecars if broker == REDIS else (EMBEDDED,):
            text = component.get(broker, resource("events", "pubsub.daprflow"))
            for name, peer in ((OURS, ours), ("dapr.ext.fastapi", theirs)):
                label = _label(name, kind)
                beside[label] = _label(OURS, kind)
                notes[label] = stage.missing(peer.environment)
                if not notes[label]:
                    app = stack.enter_context(hosted(stage, kind, peer, {"events": text}))
                    work[label] = partial(_go, name, app.ports.app, count)
        if broker == REDIS:
            notes["FastStream"] = stage.missing("faststream")
            if not notes["FastStream"]:
                peer = Peer("faststream", "flow_faststream", (f"redis://{host}",))
                child = stack.enter_context(started(stage, peer))
                child.read_line(60)
                work["FastStream"] = lambda: count / float(answer(child, str(count)))
        found = in_turn(work, stage.rounds(5), notes)
    rows = [
        Row(name, found.get(name, ()), beside.get(name, _label(OURS, EMBEDDED)), note)
        for name, note in notes.items()
    ]
    return Group(f"published and handled, {broker}", "events/s", rows)


def _label(name: str, kind: str) -> str:
    return name if kind == EMBEDDED and name == OURS else f"{name}, {kind}"


def _go(name: str, port: int, count: int) -> float:
    """Order an app to publish and handle, and return the rate."""
    path, body = ("/go", str(count)) if name == OURS else (f"/go?count={count}", "")
    request = Request(
        f"http://127.0.0.1:{port}{path}", body.encode(), {"content-type": "application/json"}
    )
    with urlopen(request, timeout=PATIENCE) as done:  # noqa: S310 - our own app's
        return count / float(done.read())
