"""A transport in process whose sidecar has a gRPC API on a port, too."""

from daprflow.testing.transport import InProcessTransport
from tests.helpers.small_sidecar import SmallSidecar


class GrpcBeside(InProcessTransport):
    """Knows a gRPC API beside the HTTP one.

    Attributes:
        port: where it is.
    """

    def __init__(self, sidecar: SmallSidecar, port: int) -> None:
        super().__init__(sidecar)
        self.port = port

    def grpc_address(self) -> str:
        """Return where it is."""
        return f"127.0.0.1:{self.port}"

    async def start_grpc(self, component: str, block: str, /) -> None:
        """It listens."""
