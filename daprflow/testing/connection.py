"""The connection of an app to its sidecar, which a test can cut."""

from typing import Protocol

from daprflow.errors import SidecarUnavailable
from daprflow.protocol.http import HttpRequest, HttpResponse, StreamedRequest, StreamedResponse
from daprflow.transports.base import ConnectionLost


class Carrier(Protocol):
    """What carries requests over HTTP and knows the gRPC API: the transport of a test."""

    @property
    def address(self) -> str:
        """What stands in messages."""
        ...

    async def send(self, request: HttpRequest, /) -> HttpResponse:
        """Carry a request."""
        ...

    async def stream(self, request: StreamedRequest, /) -> StreamedResponse:
        """Carry what comes in pieces."""
        ...

    def grpc_address(self) -> str:
        """Return where the gRPC API is, or will be."""
        ...

    async def start_grpc(self, component: str, block: str, /) -> None:
        """Return when the gRPC API listens."""
        ...

    async def close(self) -> None:
        """Give back every connection."""
        ...


class Line:
    """Whether the app reaches its sidecar.

    Attributes:
        cut: no call gets through at all.
        losses: so many calls lose their connection yet.
    """

    def __init__(self) -> None:
        self.cut = False
        self.losses: int = 0

    def pass_one(self) -> None:
        """Let one call through.

        Raises:
            SidecarUnavailable: the line is cut; `ConnectionLost` where this call alone is lost,
                which a client repeats when it may.
        """
        if self.cut:
            raise SidecarUnavailable("the test has cut the connection to the sidecar")
        if self.losses:
            self.losses -= 1
            raise ConnectionLost("the test had the connection to the sidecar break")


class CutTransport:
    """A transport over a line that may be cut."""

    def __init__(self, transport: Carrier, line: Line) -> None:
        self._transport = transport
        self._line = line

    @property
    def address(self) -> str:
        """What stands in messages."""
        return self._transport.address

    async def send(self, request: HttpRequest, /) -> HttpResponse:
        """Carry a request, unless the line is cut."""
        self._line.pass_one()
        return await self._transport.send(request)

    async def stream(self, request: StreamedRequest, /) -> StreamedResponse:
        """Carry what comes in pieces, unless the line is cut."""
        self._line.pass_one()
        return await self._transport.stream(request)

    def grpc_address(self) -> str:
        """Return where the gRPC API is, or will be."""
        return self._transport.grpc_address()

    async def start_grpc(self, component: str, block: str, /) -> None:
        """Return when the gRPC API listens; while the line is cut it does not."""
        if self._line.cut:
            self._line.pass_one()
        await self._transport.start_grpc(component, block)

    async def close(self) -> None:
        """Give back every connection."""
        await self._transport.close()
