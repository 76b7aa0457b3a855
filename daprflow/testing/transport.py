"""The client's way to a sidecar in the same process: its ASGI app is called directly."""

import re
from urllib.parse import unquote

from daprflow.protocol.http import HttpRequest, HttpResponse, StreamedRequest, StreamedResponse
from daprflow.sidecar.channel.base import AppUnreachable
from daprflow.sidecar.channel.in_process import AsgiApp, AsgiChannel
from daprflow.testing.faults import Faults
from daprflow.testing.grpc_side import GrpcSide
from daprflow.testing.targets import Operation
from daprflow.transports.base import ConnectionLost

_ACTOR = re.compile(r"/v1\.0/actors/([^/]+)/([^/]+)/method/([^/?]+)")


class InProcessTransport:
    """Requests to an ASGI app, as if they had come over a loopback socket.

    Args:
        app: a sidecar's HTTP API.
        token: sent as ``dapr-api-token``; empty means none.
    """

    def __init__(self, app: AsgiApp, *, token: str = "") -> None:
        self._channel = AsgiChannel(app, app_token=token or None)

    @property
    def address(self) -> str:
        """What stands in messages instead of a URL."""
        return "in this process"

    async def send(self, request: HttpRequest, /) -> HttpResponse:
        """Call the app with ``request`` and collect its answer.

        Raises:
            ConnectionLost: the app raised, or ended without an answer.
        """
        try:
            return await self._channel.send(request)
        except AppUnreachable as error:
            raise ConnectionLost(f"the sidecar in this process failed: {error}") from error

    async def stream(self, request: StreamedRequest, /) -> StreamedResponse:
        """Call the app with bodies in pieces both ways.

        Raises:
            ConnectionLost: the app raised before it answered.
        """
        try:
            return await self._channel.stream(request)
        except AppUnreachable as error:
            raise ConnectionLost(f"the sidecar in this process failed: {error}") from error

    async def close(self) -> None:
        """Do nothing: there is no connection."""
        await self._channel.close()


class SidecarTransport(InProcessTransport):
    """Requests to the HTTP API of a sidecar under test, which has a gRPC API, too.

    Calls of actors wait for their turn where orders are chosen: at an actor's own door, where its
    sidecar lets in one after the other, there is nothing left to choose.
    """

    def __init__(self, app: AsgiApp, grpc: GrpcSide, faults: Faults) -> None:
        super().__init__(app)
        self._grpc = grpc
        self._faults = faults

    async def send(self, request: HttpRequest, /) -> HttpResponse:
        """Call the app with ``request``, once it is its turn."""
        if self._faults.turn is not None and (called := _ACTOR.match(request.target)) is not None:
            kind, actor_id, method = map(unquote, called.groups())
            await self._faults.turn(Operation("call of actor", kind, method, actor_id))
        return await super().send(request)

    def grpc_address(self) -> str:
        """Return where the gRPC API is, or will be."""
        return self._grpc.address

    async def start_grpc(self, _component: str, _block: str, /) -> None:
        """Return when the gRPC API listens."""
        await self._grpc.start()
