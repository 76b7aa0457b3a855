"""Figure: typed delivery with metrics, traces of 1 % and JSON logs, beside the same without."""

import statistics
from collections.abc import Iterator, Mapping
from contextlib import ExitStack

from benchmarks.delivery import CONNECTIONS, OURS, Peer, Rounds, await_start, deliver
from benchmarks.processes import Agent, serving
from benchmarks.table import Figure, Section, at_least, median_ratio

PATH = "/dapr/topics/pubsub/orders"
OFF = Peer(f"{OURS}, all off", "typed_daprflow", PATH)
ON = Peer(f"{OURS} with metrics, traces and logs", "observed_daprflow", PATH)
PARTS = tuple(
    Peer(f"{OURS} with {part}", f"observed_daprflow {part}", PATH)
    for part in ("metrics", "traces", "logs")
)
OTHER = Peer("dapr.ext.fastapi with none", "dapr_fastapi")
PEERS = (OFF, ON, *PARTS, OTHER)
INCLUDED = {
    "traces": "1 % of the spans made, encoded for OTLP and not sent",
    "logs": "a JSON line each, written to a file",
}
"""What the processor time of a part has in it."""


def measure(agent: Agent, *, rounds: int, seconds: float) -> Section:
    """Deliver to every peer in turn, ``rounds`` times, and compare the rounds pairwise."""
    reached = {peer.name: Rounds() for peer in PEERS}
    with ExitStack() as stack:
        servers = [(peer, stack.enter_context(serving(*_command(peer)))) for peer in PEERS]
        await_start(servers)
        for _ in range(rounds):
            for peer, server in servers:
                deliver(agent, peer, server, seconds, reached[peer.name])
    return Section(
        f"Typed delivery while it is observed, one core, {CONNECTIONS} connections",
        list(_figures(reached)),
    )


def _command(peer: Peer) -> tuple[str, ...]:
    """Return what serves a peer: the observed ones are programs of their own."""
    module, *parts = peer.module.split()
    return (module, *parts) if module == "observed_daprflow" else ("serve", module)


def _figures(reached: Mapping[str, Rounds]) -> Iterator[Figure]:
    off = reached[OFF.name]
    for peer in PEERS:
        rounds = reached[peer.name]
        cost = statistics.median(rounds.costs) * 1e6
        share = median_ratio(rounds.rates, off.rates)
        note = f"{cost:.1f} µs of processor time each, {share:.2f} of all off"
        parts = [text for part, text in INCLUDED.items() if part in peer.name]
        note = "; ".join([note, *parts])
        yield Figure(peer.name, statistics.median(rounds.rates), "deliveries/s", note=note)
    on, other = reached[ON.name], reached[OTHER.name]
    note = f"{median_ratio(off.costs, on.costs):.2f} by processor time"
    ratio = median_ratio(on.rates, off.rates)
    yield Figure("all on / all off", ratio, "ratio", at_least(0.7), note)
    note = f"{median_ratio(other.costs, on.costs):.2f} by processor time"
    ratio = median_ratio(on.rates, other.rates)
    yield Figure("all on / dapr.ext.fastapi with none", ratio, "ratio", at_least(2.5), note)
