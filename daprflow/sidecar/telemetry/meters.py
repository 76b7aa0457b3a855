"""The metrics of one sidecar as its parts record them."""

from collections.abc import Callable
from functools import cached_property
from typing import Final
from urllib.parse import unquote

from daprflow.protocol.configuration_file import MetricsSpec
from daprflow.sidecar.telemetry import known_metrics as known
from daprflow.sidecar.telemetry.error_codes import ErrorCodes
from daprflow.sidecar.telemetry.metrics import MOST_SERIES, Cell, Family, Known, Registry, Spread
from daprflow.sidecar.telemetry.path_labels import PathLabels

TRUE: Final = "true"
FALSE: Final = "false"


class Operations:
    """How many operations there were on components, and how long they took."""

    __slots__ = ("_cells", "_counts", "_times")

    def __init__(self, registry: Registry, names: tuple[Known, Known]) -> None:
        self._counts = registry.count(names[0])
        self._times = registry.spread(names[1])
        self._cells: dict[tuple[str, ...], tuple[Cell, Spread]] = {}

    def record(self, milliseconds: float, *labels: str) -> None:
        """Take in one operation; labels as the metric has them."""
        count, times = self.cells(labels)
        count.value += 1
        times.record(milliseconds)

    def cells(self, labels: tuple[str, ...]) -> tuple[Cell, Spread]:
        """Return the numbers of operations with these labels; they stay the same ones."""
        cells = self._cells.get(labels)
        if cells is None:
            cells = (self._counts(*labels), self._times(*labels))
            if len(self._cells) < MOST_SERIES:
                self._cells[labels] = cells
        return cells


class HttpCells:
    """The numbers of calls with one verb, path and status."""

    __slots__ = ("count", "latency", "received", "response", "sent")

    def __init__(
        self, count: Cell, latency: Spread, response: Cell | None, *, received: Spread, sent: Spread
    ) -> None:
        self.count = count
        self.latency = latency
        self.response = response
        self.received = received
        self.sent = sent

    def take(self, milliseconds: float, received: int, sent: int) -> None:
        """Take in one call."""
        self.count.value += 1
        self.latency.record(float(int(milliseconds)))
        if self.response is not None:
            self.response.value += 1
        self.received.record(float(received))  # floats are sooner compared with floats
        self.sent.record(float(sent))


class HttpMeters:
    """Calls of one HTTP API, or of one HTTP app."""

    __slots__ = (
        "_cells", "_counts", "_labels", "_latencies", "_received", "_responses", "_sent",
        "_sent_by_path",
    )  # fmt: skip

    def __init__(self, registry: Registry, labels: PathLabels, names: "HttpNames") -> None:
        self._labels = labels
        self._counts = registry.count(names.count)
        self._latencies = registry.spread(names.latency)
        self._responses = None if names.responses is None else registry.count(names.responses)
        self._received = registry.spread(names.received)
        self._sent = registry.spread(names.sent)
        self._sent_by_path = bool(names.sent.labels)
        self._cells: dict[tuple[str, str, int], HttpCells] = {}

    def cells(self, method: str, path: str, status: int) -> HttpCells:
        """Return the numbers of such calls.

        Args:
            method: the verb.
            path: still percent-encoded, without the query.
            status: what was answered.
        """
        found = self._cells.get((method, path, status))
        return self._resolved(method, path, status) if found is None else found

    def _resolved(self, method: str, path: str, status: int) -> HttpCells:
        verb, label, code = self._labels.method(method), self._labels.of(unquote(path)), str(status)
        responses = self._responses
        cells = HttpCells(
            self._counts(verb, label, code),
            self._latencies(verb, label, code),
            None if responses is None else responses(verb, label, code),
            received=self._received(),
            sent=self._sent(verb, label, "") if self._sent_by_path else self._sent(),
        )
        if len(self._cells) >= MOST_SERIES:
            self._cells.clear()
        self._cells[method, path, status] = cells
        return cells


class HttpNames:
    """The metrics of `HttpMeters`."""

    __slots__ = ("count", "latency", "received", "responses", "sent")

    def __init__(
        self, count: Known, latency: Known, *, received: Known, sent: Known,
        responses: Known | None = None,
    ) -> None:  # fmt: skip
        self.count = count
        self.latency = latency
        self.received = received
        self.sent = sent
        self.responses = responses


class RpcMeters:
    """Calls of one gRPC API, or of one gRPC app."""

    __slots__ = ("_counts", "_latencies", "received", "sent")

    def __init__(self, registry: Registry, count: Known, latency: Known, *sizes: Known) -> None:
        self._counts = registry.count(count)
        self._latencies = registry.spread(latency)
        self.received = registry.spread(sizes[0])
        self.sent = registry.spread(sizes[1])

    def record(self, method: str, status: str, milliseconds: float) -> None:
        """Take in one call."""
        self._counts(method, status).add()
        self._latencies(method, status).record(float(int(milliseconds)))


class Meters:
    """All metrics of one sidecar.

    Args:
        registry: holds them.
        spec: of the configuration.
    """

    def __init__(self, registry: Registry, spec: MetricsSpec) -> None:
        self.registry = registry
        labels = PathLabels(spec)
        detailed = spec.increased_cardinality
        served = HttpNames(
            known.HTTP_REQUESTS,
            known.HTTP_LATENCY,
            received=known.HTTP_REQUEST_BYTES,
            sent=known.HTTP_RESPONSE_BYTES,
            responses=known.HTTP_RESPONSES if detailed else None,
        )
        called = HttpNames(
            known.APP_CALLS,
            known.APP_LATENCY,
            received=known.APP_RECEIVED_BYTES,
            sent=known.APP_SENT_BYTES,
        )
        self.http = HttpMeters(registry, labels, served)
        self.app = HttpMeters(registry, labels, called)
        self.probes = self._count(known.APP_PROBES)
        self.probe_latencies = self._spread(known.APP_PROBE_LATENCY)
        self.ingress = self._operations(known.INGRESS)
        self.bulk_ingress = self._operations(known.BULK_INGRESS)
        self.bulk_events = self._count(known.BULK_INGRESS_EVENTS)
        self.blocks = {
            "egress": self._operations(known.EGRESS),
            "bulk_egress": self._operations(known.BULK_EGRESS),
            "output_binding": self._operations(known.OUTPUT_BINDING),
            "state": self._operations(known.STATE),
            "configuration": self._operations(known.CONFIGURATION),
            "secret": self._operations(known.SECRET),
            "conversation": self._operations(known.CONVERSATION),
            "crypto": self._operations(known.CRYPTO),
        }
        self.input_binding = self._operations(known.INPUT_BINDING)
        self.components = self._count(known.COMPONENTS)
        self.opened = self._count(known.OPENED)
        self.not_opened = self._count(known.NOT_OPENED)
        self.errors: ErrorCodes | None = None
        if spec.record_error_codes:
            self.errors = ErrorCodes(self._count(known.ERROR_CODES))

    @cached_property
    def rpc_probes(self) -> Family[Cell]:
        """Health checks of an app that speaks gRPC."""
        return self._count(known.RPC_PROBES)

    @cached_property
    def rpc_probe_latencies(self) -> Family[Spread]:
        """How long those take."""
        return self._spread(known.RPC_PROBE_LATENCY)

    @cached_property
    def rpcs(self) -> RpcMeters:
        """Calls of the gRPC API."""
        sizes = (known.RPC_RECEIVED_BYTES, known.RPC_SENT_BYTES)
        return RpcMeters(self.registry, known.RPCS, known.RPC_LATENCY, *sizes)

    @cached_property
    def app_rpcs(self) -> RpcMeters:
        """Calls of an app that speaks gRPC."""
        sizes = (known.APP_RPC_RECEIVED_BYTES, known.APP_RPC_SENT_BYTES)
        return RpcMeters(self.registry, known.APP_RPCS, known.APP_RPC_LATENCY, *sizes)

    @cached_property
    def actors(self) -> "ActorMeters":
        """Actors that this app hosts."""
        return ActorMeters(self._count)

    @cached_property
    def invocation(self) -> "InvocationMeters":
        """Calls between apps."""
        return InvocationMeters(self._count, self._spread(known.ANSWER_LATENCY))

    @cached_property
    def workflows(self) -> "WorkflowMeters":
        """Workflows and activities of this app."""
        return WorkflowMeters(self._count, self._spread)

    @cached_property
    def policies(self) -> "PolicyMeters":
        """Resiliency policies."""
        return PolicyMeters(self._count)

    @cached_property
    def jobs(self) -> "JobMeters":
        """Ticks of jobs."""
        return JobMeters(self._count, self._spread(known.JOB_LATENCY))

    def _count(self, name: Known) -> Family[Cell]:
        return self.registry.count(name)

    def _spread(self, name: Known) -> Family[Spread]:
        return self.registry.spread(name)

    def _operations(self, names: tuple[Known, Known]) -> Operations:
        return Operations(self.registry, names)


_Count = Callable[[Known], Family[Cell]]
_Times = Callable[[Known], Family[Spread]]


class ActorMeters:
    """What becomes of actors; each by their type."""

    def __init__(self, count: _Count) -> None:
        self.deactivated = count(known.ACTORS_DEACTIVATED)
        self.not_deactivated = count(known.ACTORS_NOT_DEACTIVATED)
        self.rebalanced = count(known.ACTORS_REBALANCED)
        self.waiting = count(known.ACTORS_WAITING)
        self.timers = count(known.ACTOR_TIMERS)
        self.timers_fired = count(known.TIMERS_FIRED)
        self.reminders_fired = count(known.REMINDERS_FIRED)


class InvocationMeters:
    """Calls from this app to others, and from others to it."""

    def __init__(self, count: _Count, latency: Family[Spread]) -> None:
        self.sent = count(known.SENT)
        self.received = count(known.RECEIVED)
        self.answered = count(known.ANSWERED)
        self.answers = count(known.ANSWERS)
        self.latency = latency


class WorkflowMeters:
    """What becomes of workflows and activities."""

    def __init__(self, count: _Count, times: _Times) -> None:
        self.operations = count(known.WORKFLOW_OPERATIONS)
        self.operation_latency = times(known.WORKFLOW_OPERATION_LATENCY)
        self.executions = count(known.WORKFLOWS)
        self.latency = times(known.WORKFLOW_LATENCY)
        self.delay = times(known.WORKFLOW_DELAY)
        self.activity_operations = count(known.ACTIVITY_OPERATIONS)
        self.activity_operation_latency = times(known.ACTIVITY_OPERATION_LATENCY)
        self.activities = count(known.ACTIVITIES)
        self.activity_latency = times(known.ACTIVITY_LATENCY)


class PolicyMeters:
    """What resiliency policies do."""

    def __init__(self, count: _Count) -> None:
        self.loaded = count(known.POLICIES)
        self.uses = count(known.POLICY_USES)
        self.activations = count(known.POLICY_ACTIVATIONS)
        self.breakers = count(known.BREAKERS)


class JobMeters:
    """What becomes of jobs."""

    def __init__(self, count: _Count, latency: Family[Spread]) -> None:
        self.successes = count(known.JOB_SUCCESSES)
        self.failures = count(known.JOB_FAILURES)
        self.latency = latency
