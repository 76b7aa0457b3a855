"""Figure: typed topic delivery with every limit on, beside the same with none."""

import statistics
from contextlib import ExitStack

from benchmarks.delivery import Peer, Rounds, await_start, deliver
from benchmarks.processes import Agent, serving
from benchmarks.table import Figure, Section, at_least, median_ratio

PATH = "/dapr/topics/pubsub/orders"
OFF = Peer("all limits off", "typed_daprflow", PATH)
ON = Peer("rate, headers, body, time and concurrency limited", "limits_daprflow", PATH)


def measure(agent: Agent, *, rounds: int, seconds: float) -> Section:
    """Deliver with and without limits in turn, ``rounds`` times, and compare the rounds."""
    reached = {peer: Rounds() for peer in (OFF, ON)}
    with ExitStack() as stack:
        servers = [(peer, stack.enter_context(serving("serve", peer.module))) for peer in reached]
        await_start(servers)
        for _ in range(rounds):
            for peer, server in servers:
                deliver(agent, peer, server, seconds, reached[peer])
    figures = [
        Figure(
            peer.name,
            statistics.median(found.rates),
            "deliveries/s",
            note=f"{statistics.median(found.costs) * 1e6:.1f} µs of processor time each",
        )
        for peer, found in reached.items()
    ]
    ratio = median_ratio(reached[ON].rates, reached[OFF].rates)
    costs = median_ratio(reached[OFF].costs, reached[ON].costs)
    note = f"{costs:.2f} by processor time"
    figures.append(Figure("on / off", ratio, "ratio", at_least(0.85), note))
    return Section("Typed topic delivery with limits", figures)
