"""The two ports of a sidecar's APIs: taken before anything else is known, open from then on."""

import socket
from dataclasses import dataclass

from daprflow.launcher import ports


@dataclass(frozen=True, slots=True)
class Doors:
    """The listening sockets of a sidecar; they belong to whoever has this."""

    http: socket.socket
    grpc: socket.socket
    http_port: int
    grpc_port: int

    def close(self) -> None:
        """Give both ports back."""
        self.http.close()
        self.grpc.close()


def take_doors(http_port: int | None, grpc_port: int | None, app_port: int | None = None) -> Doors:
    """Take the ports on loopback: the wanted ones, else the usual or the next free ones.

    Args:
        http_port: wanted for the HTTP API.
        grpc_port: wanted for the gRPC API.
        app_port: left to the app.

    Raises:
        LaunchError: a wanted one is taken.
    """
    http = ports.http_listener(http_port, grpc_port, app_port)
    try:
        grpc = ports.grpc_listener(grpc_port, app_port)
    except BaseException:
        http.close()
        raise
    return Doors(http, grpc, port_of(http), port_of(grpc))


def port_of(listener: socket.socket) -> int:
    """Return the port a socket listens on."""
    port: int = listener.getsockname()[1]
    return port
