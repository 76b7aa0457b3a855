"""The ports of a sidecar: taken before anything else is known, open from then on."""

import socket
from dataclasses import dataclass, replace

from daprflow.launcher import ports
from daprflow.launcher.options import SidecarOptions


@dataclass(frozen=True, slots=True)
class Doors:
    """The listening sockets of a sidecar; they belong to whoever has this."""

    http: socket.socket
    grpc: socket.socket
    http_port: int
    grpc_port: int
    metrics: socket.socket | None = None
    metrics_port: int | None = None

    def close(self) -> None:
        """Give all ports back."""
        for listener in (self.http, self.grpc, self.metrics):
            if listener is not None:
                listener.close()


@dataclass(frozen=True, slots=True)
class MetricsDoor:
    """What is wanted of the port of metrics: None leaves the choice."""

    port: int | None = None


def take_doors(
    http_port: int | None,
    grpc_port: int | None,
    app_port: int | None = None,
    metrics: MetricsDoor | None = None,
) -> Doors:
    """Take the ports on loopback: the wanted ones, else the usual or the next free ones.

    Args:
        http_port: wanted for the HTTP API.
        grpc_port: wanted for the gRPC API.
        app_port: left to the app.
        metrics: None takes no port for them.

    Raises:
        LaunchError: a wanted one is taken.
    """
    http = ports.http_listener(http_port, grpc_port, app_port)
    try:
        grpc = ports.grpc_listener(grpc_port, app_port)
    except BaseException:
        http.close()
        raise
    taken = Doors(http, grpc, port_of(http), port_of(grpc))
    if metrics is None:
        return taken
    try:
        third = ports.metrics_listener(metrics.port, app_port)
    except BaseException:
        taken.close()
        raise
    return replace(taken, metrics=third, metrics_port=port_of(third))


def metrics_door(options: SidecarOptions) -> MetricsDoor | None:
    """Return what a run wants of the port of metrics."""
    return MetricsDoor(options.metrics_port) if options.enable_metrics else None


def port_of(listener: socket.socket) -> int:
    """Return the port a socket listens on."""
    port: int = listener.getsockname()[1]
    return port
