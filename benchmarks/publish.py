"""Figure: publish to handled through the embedded sidecar over sockets, beside a bare relay."""

import contextlib
import statistics
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.messages import PublishAlone, PublishedAlone, PublishedMany, PublishMany
from benchmarks.processes import (
    SERVER_CORE,
    Agent,
    BenchmarkError,
    Child,
    Server,
    cpu_seconds,
    free_port,
    serving,
    wait_until_ready,
)
from benchmarks.table import Figure, Section, at_least, at_most, median_ratio

PUBLISHERS = 32
PATH = "/v1.0/publish/pubsub/orders"
IN_MEMORY = """\
apiVersion: dapr.io/v1alpha1
kind: Component
metadata:
  name: pubsub
spec:
  type: pubsub.in-memory
  version: v1
"""


@dataclass(frozen=True, slots=True)
class Broker:
    """A broker to measure.

    Attributes:
        limit: the bare relay that does the same commits; empty for a relay.
        rate: events a second required, 0 where nothing is.
        alone: milliseconds at most for an event published alone.
    """

    name: str
    limit: str = ""
    rate: float = 0.0
    alone: float = 0.0


RELAY, SERIAL_RELAY, DURABLE_RELAY = "bare relay", "bare relay, serial", "bare relay, durable"
RELAYS = {RELAY: "memory", SERIAL_RELAY: "serial", DURABLE_RELAY: "durable"}
BY_NAME, EPHEMERAL, DURABLE = "pubsub.in-memory", "built-in, --ephemeral", "built-in, durable"
BROKERS = (
    Broker(RELAY),
    Broker(EPHEMERAL, RELAY, 8000, 0.5),
    Broker(SERIAL_RELAY),
    Broker(BY_NAME, SERIAL_RELAY, 8000, 0.5),
    Broker(DURABLE_RELAY),
    Broker(DURABLE, DURABLE_RELAY, 6000, 1.0),
)


@dataclass(slots=True)
class Rounds:
    """What one broker reached in every round."""

    rates: list[float] = field(default_factory=list)
    costs: list[float] = field(default_factory=list)
    alone: list[float] = field(default_factory=list)


@contextlib.contextmanager
def sidecar(folder: Path, app_port: int, *flags: str) -> Iterator[Server]:
    """Start ``daprflow sidecar`` in ``folder`` beside the app on ``app_port``."""
    port = free_port()
    command = [
        *(sys.executable, "-m", "daprflow", "sidecar", "--app-id", "bench"),
        *("--app-port", str(app_port), "--dapr-http-port", str(port), *flags),
    ]
    child = Child(command, SERVER_CORE, folder, quiet=True)
    child.start()
    try:
        wait_until_ready(port)
        yield Server(child.pid, port)
    finally:
        child.stop()


@contextlib.contextmanager
def _started(broker: Broker, app_port: int) -> Iterator[Server]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if broker.name in RELAYS:
            kind = RELAYS[broker.name]
            server = serving("relay", str(app_port), kind, str(folder / "events.db"))
        elif broker.name == BY_NAME:
            resources = folder / "resources"
            resources.mkdir()
            (resources / "pubsub.yaml").write_text(IN_MEMORY)
            server = sidecar(folder, app_port, "--resources-path", str(resources))
        elif broker.name == EPHEMERAL:
            server = sidecar(folder, app_port, "--ephemeral")
        else:
            server = sidecar(folder, app_port)
        yield stack.enter_context(server)


def _measure(agent: Agent, broker: Broker, server: Server, events: int, rounds: Rounds) -> None:
    before = cpu_seconds(server.pid)
    many = agent.carry_out(PublishMany(server.port, PATH, events, PUBLISHERS))
    if not isinstance(many, PublishedMany) or many.failures:
        raise BenchmarkError(f"'{broker.name}' lost events: {many}")
    rounds.rates.append(many.handled / many.handled_seconds)
    rounds.costs.append((cpu_seconds(server.pid) - before) / events)
    alone = agent.carry_out(PublishAlone(server.port, PATH, max(100, events // 30)))
    if not isinstance(alone, PublishedAlone) or alone.failures:
        raise BenchmarkError(f"'{broker.name}' refused an event")
    rounds.alone.append(statistics.median(alone.latencies))


def measure(agent: Agent, *, rounds: int, events: int) -> Section:
    """Publish through every broker in turn, ``rounds`` times, and compare the rounds pairwise."""
    reached = {broker.name: Rounds() for broker in BROKERS}
    with ExitStack() as stack:
        servers = [
            (broker, stack.enter_context(_started(broker, agent.sink_port))) for broker in BROKERS
        ]
        for broker, server in servers:
            _measure(agent, broker, server, events // 5, Rounds())
        for _ in range(rounds):
            for broker, server in servers:
                _measure(agent, broker, server, events, reached[broker.name])
    return Section(f"Publish to handled, {PUBLISHERS} publishers", list(_figures(reached)))


def _figures(reached: Mapping[str, Rounds]) -> Iterator[Figure]:
    for broker in BROKERS:
        mine = reached[broker.name]
        rate = statistics.median(mine.rates)
        cost = f"{statistics.median(mine.costs) * 1e6:.1f} µs of processor time each"
        bound = at_least(broker.rate) if broker.rate else None
        yield Figure(broker.name, rate, "events/s", bound, cost)
    for broker in BROKERS:
        if broker.limit:
            mine, theirs = reached[broker.name], reached[broker.limit]
            ratio = median_ratio(mine.rates, theirs.rates)
            note = f"{median_ratio(theirs.costs, mine.costs):.2f} by processor time"
            yield Figure(f"{broker.name} / {broker.limit}", ratio, "ratio", at_least(0.45), note)
    for broker in BROKERS:
        alone = statistics.median(reached[broker.name].alone) * 1e3
        bound = at_most(broker.alone) if broker.alone else None
        yield Figure(f"{broker.name}, one at a time", alone, "ms p50", bound)
