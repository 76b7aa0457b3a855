"""The seam between the client and whatever carries its requests to a sidecar."""

from typing import Protocol, runtime_checkable

from daprflow.errors import SidecarUnavailable
from daprflow.protocol.http import Exchange, StreamedRequest, StreamedResponse


class ConnectionLost(SidecarUnavailable):
    """The connection failed before a whole answer came; the call may or may not have happened."""


class Transport(Exchange, Protocol):
    """An `Exchange` with the sidecar that can be closed.

    ``send`` raises `ConnectionLost` when the connection fails; it needs no deadline, for the client
    cancels it in time. It opens what it needs on the first ``send``, and again after ``close``. It
    sends target and headers as they stand in the request, follows no redirect, and gives header
    names in lower case. Implement `StreamingTransport` for requests and answers in pieces.
    """

    @property
    def address(self) -> str:
        """Where the sidecar is, for messages."""
        ...

    async def close(self) -> None:
        """Give back every connection."""
        ...


@runtime_checkable
class StreamingTransport(Transport, Protocol):
    """A `Transport` that can also carry bodies in pieces, without holding them in memory."""

    async def stream(self, request: StreamedRequest, /) -> StreamedResponse:
        """Carry ``request`` and return once the head of the answer has come.

        Errors are those of ``send``; the answer's ``chunks`` raise them, too. Its ``close`` gives
        the connection back, or up when something of the body is left.
        """
        ...


@runtime_checkable
class GrpcSource(Protocol):
    """A `Transport` that knows its sidecar's gRPC API, too; for others the settings say it."""

    def grpc_address(self) -> str:
        """Return where it is, as ``DAPR_GRPC_ENDPOINT`` says it; it need not listen yet."""
        ...

    async def start_grpc(self, component: str, block: str, /) -> None:
        """Return when it listens and, where ``component`` is not empty, has it.

        Args:
            component: what is going to be used.
            block: its building block as paths name it: ``publish``, ``state``.
        """
        ...
