"""The seam between the client and whatever carries its requests to a sidecar."""

from typing import Protocol

from daprflow.errors import SidecarUnavailable
from daprflow.protocol.http import Exchange


class ConnectionLost(SidecarUnavailable):
    """The connection failed before a whole answer came; the call may or may not have happened."""


class Transport(Exchange, Protocol):
    """An `Exchange` with the sidecar that can be closed.

    ``send`` raises `ConnectionLost` when the connection fails and `SidecarUnavailable` when no
    answer comes in time. It opens what it needs on the first ``send``, and again after ``close``.
    """

    @property
    def address(self) -> str:
        """Where the sidecar is, for messages."""
        ...

    async def close(self) -> None:
        """Give back every connection."""
        ...
