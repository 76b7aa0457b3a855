"""How an app is observed, as its author says; what is not said is decided when it starts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

# An app that is only defined has nothing to observe: what can is loaded when it starts.
if TYPE_CHECKING:
    from opentelemetry.trace import TracerProvider

    from daprflow.observability.logging_options import Logs
    from daprflow.observability.metrics_options import Metrics
    from daprflow.observability.watching import Watcher


@dataclass(frozen=True, slots=True, kw_only=True)
class Observability:
    """How an app is observed: ``DaprFlow(..., observability=Observability(...))``.

    Attributes:
        tracing: whether spans are made; None leaves it to the environment: they are where an
            ``OTEL_*`` variable names an exporter or a collector, or where the program has set up
            a tracer provider before the app starts.
        tracer_provider: makes the spans; None takes the program's, and where there is none, one
            is set up by the ``OTEL_*`` variables.
        metrics: where metrics are served; None leaves it to ``DAPRFLOW_METRICS``, False serves
            none, True serves them as ``/metrics`` of the app.
        logs: how the app logs; None leaves it to ``DAPRFLOW_LOG_FORMAT``, False leaves logging as
            it is, True writes JSON.
        watchers: further watchers of the author's own, outermost of all.

    Example:
        ```python
        from daprflow.observability import Observability

        shop = DaprFlow("shop", observability=Observability(tracing=True, metrics=True, logs=True))
        ```
    """

    tracing: bool | None = None
    tracer_provider: "TracerProvider | None" = None
    metrics: "Metrics | bool | None" = None
    logs: "Logs | bool | None" = None
    watchers: "Sequence[Watcher]" = ()

    def resolved(self, app_id: str, environ: Mapping[str, str]) -> "tuple[Watcher, ...]":
        """Return what is to watch an app, the outermost first; most often nothing.

        Nothing begins by this: that is for `Watcher.live`.

        Args:
            app_id: the app's.
            environ: the process's environment.

        Raises:
            SettingsError: a variable holds something that cannot be used.
            MissingExtra: something is asked for whose packages are not installed.
        """
        from daprflow.observability.logging_options import log_watchers  # noqa: PLC0415 - see above
        from daprflow.observability.metrics_options import metrics_watchers  # noqa: PLC0415 - likewise
        from daprflow.observability.tracing_options import tracing_watchers  # noqa: PLC0415 - likewise

        return (
            *self.watchers,
            *tracing_watchers(self.tracing, self.tracer_provider, app_id, environ),
            *metrics_watchers(self.metrics, app_id, environ),
            *log_watchers(self.logs, app_id, environ),
        )


DEFAULT = Observability()
"""Everything as the environment says."""
