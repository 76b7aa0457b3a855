"""Figure: typed topic delivery under uvicorn on one core, daprflow beside its peers."""

import statistics
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field

from benchmarks.client import FROM_RUNTIME, request_bytes
from benchmarks.messages import Saturate, Saturated
from benchmarks.processes import (
    Agent,
    BenchmarkError,
    Server,
    cpu_seconds,
    serving,
    wait_until_served,
)
from benchmarks.table import Bound, Figure, Section, at_least, median_ratio

OURS = "daprflow"
CONNECTIONS = 32
EVENT = (
    b'{"data":{"id":1},"datacontenttype":"application/json",'
    b'"id":"5f1b0a52-7d1c-4a43-9d0c-0b8f6c7e2a11","pubsubname":"pubsub","source":"bench",'
    b'"specversion":"1.0","time":"2026-01-01T00:00:00Z","topic":"orders","traceid":"",'
    b'"traceparent":"","tracestate":"","type":"com.dapr.event.sent"}'
)


@dataclass(frozen=True, slots=True)
class Peer:
    """A server to compare with: its module, the event's route and the ratio required to it."""

    name: str
    module: str
    path: str = "/on-order"
    ratio: Bound | None = None


PEERS = (
    Peer(OURS, "typed_daprflow", "/dapr/topics/pubsub/orders"),
    Peer("raw ASGI function with msgspec", "raw_asgi", ratio=at_least(0.75)),
    Peer("bare Starlette route", "starlette_route", ratio=at_least(1.4)),
    Peer("dapr.ext.fastapi with pydantic", "dapr_fastapi", ratio=at_least(3.5)),
)


@dataclass(slots=True)
class Rounds:
    """What one peer reached in every round: deliveries per second and processor time of each."""

    rates: list[float] = field(default_factory=list)
    costs: list[float] = field(default_factory=list)


def deliver(agent: Agent, peer: Peer, server: Server, seconds: float, rounds: Rounds) -> None:
    """Deliver to a peer for a while, and note what it reached."""
    request = request_bytes(peer.path, EVENT, FROM_RUNTIME)
    warm_up = 0.1
    before = cpu_seconds(server.pid)
    report = agent.carry_out(Saturate(server.port, request, CONNECTIONS, seconds, warm_up))
    if not isinstance(report, Saturated) or report.failures or not report.answers:
        raise BenchmarkError(f"'{peer.name}' refused deliveries: {report}")
    rate = report.answers / report.seconds
    rounds.rates.append(rate)
    rounds.costs.append((cpu_seconds(server.pid) - before) / (rate * (seconds + warm_up)))


def await_start(servers: Iterable[tuple[Peer, Server]]) -> None:
    """Wait until each server answers an event."""
    for peer, server in servers:
        wait_until_served(server.port, request_bytes(peer.path, EVENT, FROM_RUNTIME))


def measure(agent: Agent, *, rounds: int, seconds: float) -> Section:
    """Deliver to every peer in turn, ``rounds`` times, and compare the rounds pairwise."""
    reached = {peer.name: Rounds() for peer in PEERS}
    with ExitStack() as stack:
        servers = [(peer, stack.enter_context(serving("serve", peer.module))) for peer in PEERS]
        await_start(servers)
        for _ in range(rounds):
            for peer, server in servers:
                deliver(agent, peer, server, seconds, reached[peer.name])
    return Section(
        f"Typed topic delivery, one core, {CONNECTIONS} connections", list(_figures(reached))
    )


def _figures(reached: Mapping[str, Rounds]) -> Iterator[Figure]:
    for peer in PEERS:
        cost = statistics.median(reached[peer.name].costs) * 1e6
        rate = statistics.median(reached[peer.name].rates)
        yield Figure(peer.name, rate, "deliveries/s", note=f"{cost:.1f} µs of processor time each")
    ours = reached[OURS]
    for peer in PEERS:
        if peer.ratio is not None:
            theirs = reached[peer.name]
            ratio = median_ratio(ours.rates, theirs.rates)
            note = f"{median_ratio(theirs.costs, ours.costs):.2f} by processor time"
            yield Figure(f"{OURS} / {peer.name}", ratio, "ratio", peer.ratio, note)
