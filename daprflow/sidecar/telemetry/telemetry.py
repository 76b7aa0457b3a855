"""Everything one sidecar tells about itself, put together by its configuration."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from daprflow.protocol.configuration_file import ConfigurationResource
from daprflow.sidecar.clock import Clock
from daprflow.sidecar.telemetry.api_log import ApiLog
from daprflow.sidecar.telemetry.meters import Meters
from daprflow.sidecar.telemetry.metrics import Registry
from daprflow.sidecar.telemetry.regime import Regime, regime_of
from daprflow.sidecar.telemetry.sinks import LAST_WORDS, close_in_thread, make_sink
from daprflow.sidecar.telemetry.timed import Timed, Timer, untimed
from daprflow.sidecar.telemetry.tracer import Tracer, rate_of

if TYPE_CHECKING:
    from daprflow.sidecar.app.base import App
    from daprflow.sidecar.options import RuntimeOptions
    from daprflow.sidecar.telemetry.http_watch import HttpWatch

OUTSIDE: Final = "default"
"""The namespace outside clusters; the label is empty then, as in the real runtime."""
_SUCCESS_AT = {"egress": 1, "bulk_egress": 1}


class Telemetry:
    """What one sidecar measures and traces; without arguments nothing.

    Args:
        clock: measures.
        meters: None measures nothing.
        tracer: None makes no spans.
        untraced: whether no call is part of any trace.
        calls: writes a line for each call on the APIs; None writes none.

    Attributes:
        http: what stands around the HTTP API; None where there is nothing to watch.
    """

    __slots__ = ("calls", "clock", "http", "meters", "tracer", "untraced")

    def __init__(
        self,
        clock: Clock,
        meters: Meters | None = None,
        tracer: Tracer | None = None,
        *,
        untraced: bool = False,
        calls: ApiLog | None = None,
    ) -> None:
        self.clock = clock
        self.meters = meters
        self.tracer = tracer
        self.untraced = untraced
        self.calls = calls
        self.http: HttpWatch | None = None
        if self.watching:
            self.http = _http_watch(self)

    @property
    def watching(self) -> bool:
        """Whether there is anything to do at all."""
        parts = (self.meters, self.tracer, self.calls)
        return self.untraced or any(part is not None for part in parts)

    def timed(self, block: str, exists: Callable[[str], bool]) -> Timed:
        """Return what the operations of one block are done in.

        Args:
            block: as in `Meters.blocks`.
            exists: tells whether there is a component of a name.
        """
        if self.meters is None:
            return untimed
        return Timer(self.meters.blocks[block], self.clock, exists, _SUCCESS_AT.get(block))

    def failed(self, code: str) -> None:
        """Count an error that a call ended in.

        Args:
            code: Dapr's, as the HTTP API has it.
        """
        if self.meters is not None and self.meters.errors is not None:
            self.meters.errors.count(code)

    def watch(self, app: "App") -> None:
        """Watch what is done with an app."""
        if self.watching:
            from daprflow.sidecar.telemetry.app_watch import AppWatch  # noqa: PLC0415 - if wanted

            app.watch(AppWatch(self.clock, self.meters, self.tracer, untraced=self.untraced))

    async def close(self) -> None:
        """Send the last spans; a collector that is away holds it up for two seconds at most."""
        if self.tracer is None:
            return
        closed = close_in_thread(self.tracer.sink)
        await asyncio.wait({closed}, timeout=LAST_WORDS)


def _http_watch(telemetry: Telemetry) -> "HttpWatch":
    from daprflow.sidecar.telemetry.http_watch import HttpWatch  # noqa: PLC0415 - if it is wanted

    return HttpWatch(telemetry)


def open_telemetry(
    configuration: ConfigurationResource,
    clock: Clock,
    options: "RuntimeOptions",
) -> Telemetry:
    """Return what a configuration asks for.

    Args:
        configuration: of the sidecar.
        clock: measures.
        options: what the sidecar was started with.

    Raises:
        ComponentError: the library of an exporter is not installed.
    """
    spec = configuration.metrics
    meters = None
    if options.metrics and spec.enabled:
        namespace = "" if options.namespace == OUTSIDE else options.namespace
        meters = Meters(Registry(options.app_id, namespace, spec), spec)
    regime = regime_of(configuration.tracing)
    tracer = None
    if regime is Regime.SPANS:
        sink = make_sink(configuration.tracing, options.app_id)
        tracer = Tracer(rate_of(configuration.tracing.sampling_rate), sink, clock)
    logged = configuration.api_logging
    calls = ApiLog(logged) if logged.enabled else None
    return Telemetry(clock, meters, tracer, untraced=regime is Regime.OFF, calls=calls)
