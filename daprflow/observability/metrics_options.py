"""Where an app's metrics are served, as its author or the environment says."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from daprflow.observability.watching import Watcher
from daprflow.settings import SettingsError

METRICS_VARIABLE: Final = "DAPRFLOW_METRICS"
MULTIPROCESS_VARIABLE: Final = "PROMETHEUS_MULTIPROC_DIR"
"""Where prometheus-client keeps the values of several processes; read when it is imported."""
LOOPBACK: Final = "127.0.0.1"
_ON = frozenset({"on", "app", "true", "yes", "1"})
_OFF = frozenset({"", "off", "none", "false", "no", "0"})
_MOST = 65535


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """Where metrics are served, for Prometheus: ``Observability(metrics=Metrics(port=9464))``.

    Attributes:
        path: on which they are served.
        port: of a server of their own, in a thread, which answers while the event loop is
            blocked; None serves them on the app, where apps that invoke it get 403.
        host: the address of that server; ``0.0.0.0`` where Prometheus is on another machine.

    Example:
        ```python
        from daprflow.observability import Metrics, Observability

        shop = DaprFlow("shop", observability=Observability(metrics=Metrics(port=9464)))
        ```
    """

    path: str = "/metrics"
    port: int | None = None
    host: str = LOOPBACK

    def __post_init__(self) -> None:
        if not self.path.startswith("/") or self.path == "/":
            raise ValueError(f"the path of metrics is '{self.path}'; write one such as '/metrics'")
        if self.port is not None and not 0 <= self.port <= _MOST:
            raise ValueError(f"the port of metrics is {self.port}; it must be 0 to {_MOST}")


def metrics_from(environ: Mapping[str, str]) -> Metrics | None:
    """Return what ``DAPRFLOW_METRICS`` says; None where there are to be none.

    Raises:
        SettingsError: it cannot be understood.
    """
    text = environ.get(METRICS_VARIABLE, "").strip()
    if text.lower() in _OFF:
        return None
    if text.lower() in _ON:
        return Metrics()
    try:
        if text.startswith("/"):
            return Metrics(path=text)
        host, colon, port = text.rpartition(":")
        if port.isascii() and port.isdigit() and int(port):
            return Metrics(host=host.strip("[]") if colon else LOOPBACK, port=int(port))
    except ValueError:
        pass
    raise SettingsError(
        f"environment variable '{METRICS_VARIABLE}' is {text!r}; it must be 'on' or a path to "
        "serve metrics on the app, a port or 'host:port' for a server of their own, or 'off'"
    )


def metrics_watchers(
    asked: Metrics | bool | None,  # noqa: FBT001 - a field's value
    app_id: str,
    environ: Mapping[str, str],
) -> tuple[Watcher, ...]:
    """Return what counts for an app; nothing where nobody asks for it.

    Raises:
        SettingsError: ``DAPRFLOW_METRICS`` cannot be understood.
        MissingExtra: prometheus-client is not installed.
    """
    if asked is None:
        asked = metrics_from(environ)
    if not asked:
        return ()
    from importlib.metadata import version  # noqa: PLC0415 - slow, and most often not needed

    from daprflow.observability.metrics import Registry  # noqa: PLC0415 - needs the extra
    from daprflow.observability.metrics_watcher import MetricsWatcher  # noqa: PLC0415 - likewise

    metrics = Metrics() if asked is True else asked
    return (MetricsWatcher(app_id, version("daprflow"), metrics, Registry(environ)),)
