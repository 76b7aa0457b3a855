"""Counts what an app does: its deliveries, turns, waits and calls, and serves the counts."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from daprflow.errors import DaprFlowError, SidecarUnavailable
from daprflow.handlers.handler import Delivery, Outcome
from daprflow.observability.metric_list import (
    ACTIVITIES,
    ACTORS_ACTIVE,
    HEALTH_ALERTS,
    HEALTH_STATUS,
    INFO,
    LOOP_BLOCKS,
    LOOP_LAG,
    SIDECAR_UP,
    THREAD_LIMIT,
    THREAD_REFUSALS,
    THREAD_WAIT,
    THREADS_BUSY,
    TURN_WAIT,
    WORKFLOW_TURN_SECONDS,
    WORKFLOW_TURNS,
    Metric,
)
from daprflow.observability.metrics import (
    CallMeter,
    DeliveryMeter,
    MetricsServer,
    Registry,
    code_of,
)
from daprflow.observability.metrics_options import Metrics
from daprflow.observability.verdict_names import CANCELLED, ERROR
from daprflow.observability.watches import Watch
from daprflow.observability.watching import Handled, Watcher
from daprflow.protocol.workflow_actions import CompleteWorkflow, Turn, WorkflowState

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from daprflow.client.interception import CallNext, ClientCall, ClientResponse
    from daprflow.health.service import AppHealth
    from daprflow.observability.watching import Parts
    from daprflow.workflows.turns import TurnNext, WorkflowTurn

SAMPLED: Final = 1.0
"""Seconds between two looks at what is not counted by itself."""
WAITING: Final = "waiting"
_ENDS: Final[Mapping[WorkflowState, str]] = {
    WorkflowState.COMPLETED: "completed",
    WorkflowState.FAILED: "failed",
    WorkflowState.CONTINUED_AS_NEW: "continued",
}
_OUTCOMES: Final = (WAITING, *_ENDS.values(), "terminated", ERROR)
_RELAYS: Final = frozenset({b"dapr-caller-app-id", b"dapr-callee-app-id"})


class MetricsWatcher(Watcher):
    """Counts for Prometheus.

    Args:
        app_id: the app's.
        version: of daprflow.
        metrics: where the counts are served.
        registry: keeps them.
    """

    def __init__(self, app_id: str, version: str, metrics: Metrics, registry: Registry) -> None:
        self.registry = registry
        self._metrics = metrics
        self._parts: Parts | None = None
        self._meters: list[DeliveryMeter] = []
        self._calls = CallMeter(registry)
        self._workflows: dict[str, _WorkflowMeter] = {}
        self._sidecar_up = registry.series(SIDECAR_UP)
        self._seen: dict[tuple[Metric, str], int] = {}
        self.server: MetricsServer | None = None
        registry.series(INFO, app_id, version).set(1)
        if metrics.port is not None:
            self.server = MetricsServer(registry, metrics.host, metrics.port)

    # ---- what is watched ------------------------------------------------------------------------

    def watch(self, handled: Handled) -> Watch:
        """Count the deliveries to a handler."""
        labels = handled.kind, handled.name, handled.handler
        kind = _ActivityMeter if handled.kind == "activity" else DeliveryMeter
        meter = kind(self.registry, labels)
        self._meters.append(meter)
        return meter

    def turn(self, call: "TurnNext") -> "TurnNext":
        """Count the turns of workflows."""

        async def counted(turn: "WorkflowTurn") -> Turn:
            began = time.perf_counter()
            try:
                result = await call(turn)
            except BaseException:
                self._workflow(turn.name).end(ERROR, time.perf_counter() - began)
                raise
            self._workflow(turn.name).end(_outcome_of(result), time.perf_counter() - began)
            return result

        return counted

    async def call(self, call: "ClientCall", call_next: "CallNext") -> "ClientResponse":
        """Count a call of the sidecar; an interceptor of the client."""
        began = time.perf_counter()
        code = ERROR
        try:
            response = await call_next(call)
            code = code_of(response.status)
        except SidecarUnavailable:
            code = "unavailable"
            raise
        except asyncio.CancelledError:
            code = CANCELLED
            raise
        else:
            return response
        finally:
            self._calls.call(call.block, call.operation, code, time.perf_counter() - began)
            retries, queued = len(call.attempts.made) - 1, call.attempts.queued
            if retries > 0 or queued:
                self._calls.more(call.block, call.operation, max(0, retries), queued)
            if code not in (ERROR, CANCELLED):
                self._sidecar_up.set(0 if code == "unavailable" else 1)

    def attach(self, parts: "Parts") -> None:
        """Count what calls wait for in the pool, for actors and for the sidecar."""
        self._parts = parts
        self.registry.series(THREAD_LIMIT).set(parts.pool.threads)
        parts.pool.meter = PoolMeter(self.registry)
        for host in parts.hosts:
            host.waited = self.registry.series(TURN_WAIT, host.plan.kind).observe
        parts.client.add_interceptors(self.call)

    def _detach(self) -> None:
        """Count no more; a client that the author made goes on without this."""
        parts, self._parts = self._parts, None
        for meter in self._meters:  # what is collected would be lost
            meter.sample()
        self._meters.clear()
        if parts is not None:
            parts.client.remove_interceptors(self.call)
            parts.pool.meter = None
            for host in parts.hosts:
                host.waited = None

    # ---- where it is seen -----------------------------------------------------------------------

    def endpoints(self) -> "Mapping[tuple[str, str], ASGIApp]":
        """Return the page of a scrape, where it is on the app."""
        return {} if self.server is not None else {("GET", self._metrics.path): self._page}

    def live(self) -> AbstractAsyncContextManager[Any]:
        """Serve while the app runs."""
        return self._serving()

    def sample(self) -> None:
        """Look at what nobody counts: what is in memory, and how late the event loop is."""
        for meter in self._meters:
            meter.sample()
        parts = self._parts
        if parts is None:
            return
        self.registry.series(THREADS_BUSY).set(parts.pool.pending)
        for host in parts.hosts:
            self.registry.series(ACTORS_ACTIVE, host.plan.kind).set(len(host.active))
        self._sample_health(parts.health)

    def _sample_health(self, health: "AppHealth") -> None:
        series, seen = self.registry.series, self._seen
        series(LOOP_LAG).set(health.watchdog.worst_lag)
        series(HEALTH_STATUS).set(health.report().status.rank)
        if health.sidecar_reachable is not None:
            self._sidecar_up.set(health.sidecar_reachable)
        counts = [(LOOP_BLOCKS, "", health.watchdog.blocks)]
        counts += [(HEALTH_ALERTS, str(status), count) for status, count in health.alerts.items()]
        for metric, label, count in counts:
            before = seen.get((metric, label), 0)
            seen[metric, label] = count
            labels = (label,) if label else ()
            series(metric, *labels).inc(max(0, count - before))

    @asynccontextmanager
    async def _serving(self) -> AsyncIterator[None]:
        self.registry.sample = self.sample
        if self.server is not None:
            self._listen(self.server)
        sampling = asyncio.create_task(self._sampling(), name="daprflow metrics")
        try:
            yield
        finally:
            sampling.cancel()
            await asyncio.wait({sampling})
            self._detach()
            if self.server is not None:
                await self.server.stop()

    async def _sampling(self) -> None:
        """Look now and then: a scrape that another process answers does not ask this one."""
        while True:
            await asyncio.sleep(SAMPLED)
            if self._parts is not None:
                self._parts.health.watch()
            if self.registry.several:
                self.sample()

    def _listen(self, server: MetricsServer) -> None:
        try:
            server.start()
        except OSError as error:
            raise DaprFlowError(
                f"metrics cannot be served on {self._metrics.host}:{self._metrics.port}: "
                f"{error.strerror or error}; give another port with DAPRFLOW_METRICS or "
                "Metrics(port=...)"
            ) from error

    async def _page(self, scope: "Scope", receive: "Receive", send: "Send") -> None:  # noqa: ARG002 - ASGI's shape
        """Answer a scrape; other apps get none, or they could read it through their sidecars."""
        accept = ""
        for name, value in scope["headers"]:
            if name in _RELAYS:
                await _answer(send, 403, b"metrics are not for other apps\n", "text/plain")
                return
            if name == b"accept":
                accept = value.decode("latin-1")
        body, content_type = await asyncio.to_thread(self.registry.page, accept)
        await _answer(send, 200, body, content_type)

    # ---- what is counted once it is known -------------------------------------------------------

    def _workflow(self, name: str) -> "_WorkflowMeter":
        """Return what counts a workflow; a name that the app does not know is another's."""
        parts = self._parts
        if parts is None or name not in parts.workflows:
            name = "unknown"
        found = self._workflows.get(name)
        if found is None:
            found = self._workflows[name] = _WorkflowMeter(self.registry, name)
        return found


class PoolMeter:
    """Counts what calls wait for a thread; see `daprflow.handlers.pool.Meter`."""

    __slots__ = ("_waited", "refused")

    def __init__(self, registry: Registry) -> None:
        self._waited = registry.series(THREAD_WAIT).observe
        self.refused: Callable[[], None] = registry.series(THREAD_REFUSALS).inc

    def waiting(self, work: Callable[[], Any], /) -> Callable[[], Any]:
        """Return what a thread runs in the place of ``work``, which is submitted now."""
        submitted, waited, clock = time.perf_counter(), self._waited, time.perf_counter

        def run() -> Any:
            waited(clock() - submitted)
            return work()

        return run


class _ActivityMeter(DeliveryMeter):
    """Counts an activity as what it is, too."""

    __slots__ = ("_done", "_failed")

    def __init__(self, registry: Registry, labels: Sequence[str]) -> None:
        super().__init__(registry, labels)
        self._done = registry.series(ACTIVITIES, labels[1], "completed").inc
        self._failed = registry.series(ACTIVITIES, labels[1], "failed").inc

    def end(self, held: None, delivery: Delivery, outcome: Outcome, seconds: float) -> None:
        """Count one that has ended."""
        super().end(held, delivery, outcome, seconds)
        good = outcome.error is None and outcome.http_status < 400  # noqa: PLR2004 - HTTP's errors
        (self._done if good else self._failed)()


class _WorkflowMeter:
    """Counts the turns of one workflow."""

    __slots__ = ("_outcomes", "_seconds")

    def __init__(self, registry: Registry, name: str) -> None:
        self._seconds = registry.series(WORKFLOW_TURN_SECONDS, name)
        self._outcomes = {each: registry.series(WORKFLOW_TURNS, name, each) for each in _OUTCOMES}

    def end(self, outcome: str, seconds: float) -> None:
        """Count a turn."""
        self._seconds.observe(seconds)
        self._outcomes[outcome].inc()


def _outcome_of(turn: Turn) -> str:
    ends = [each for each in turn.actions if isinstance(each, CompleteWorkflow)]
    return _ENDS.get(ends[-1].status, "terminated") if ends else WAITING


async def _answer(send: "Send", status: int, body: bytes, content_type: str) -> None:
    headers = [
        (b"content-type", content_type.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
