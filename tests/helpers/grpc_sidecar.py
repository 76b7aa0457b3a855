"""The embedded sidecar with its gRPC API on a real port, for tests."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc

from daprflow.protocol import messages
from daprflow.sidecar.app.base import App
from daprflow.sidecar.grpc_api.server import GrpcServer
from daprflow.sidecar.options import RuntimeOptions
from daprflow.sidecar.resources import Resources
from tests.helpers.sidecar import Components, InProcessSidecar, in_process_sidecar

if TYPE_CHECKING:
    from tests.helpers.recording import AsgiApp


@dataclass(frozen=True, slots=True)
class GrpcSidecar:
    """A sidecar in process, on a virtual clock, that listens for gRPC.

    Attributes:
        stub: of the official distribution, on a channel of its own.
        channel: for methods that the stub does not have.
        server: the gRPC server.
    """

    stub: Any  # the official stub has no types
    channel: grpc.aio.Channel
    port: int
    server: GrpcServer
    inner: InProcessSidecar


@contextlib.asynccontextmanager
async def grpc_sidecar(
    root: Path,
    components: Components,
    app: "AsgiApp | None" = None,
    *,
    options: RuntimeOptions | None = None,
    data_dir: Path | None = None,
    connect: bool = True,
    called: App | None = None,
    files: Resources | None = None,
) -> AsyncIterator[GrpcSidecar]:
    """Start a sidecar in process, with its gRPC server on a free port."""
    async with in_process_sidecar(
        root,
        components,
        app,
        options=options,
        data_dir=data_dir,
        connect=connect,
        called=called,
        files=files,
    ) as inner:
        server = GrpcServer(inner.runtime)
        port = await server.start()
        try:
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                yield GrpcSidecar(messages.DaprStub(channel), channel, port, server, inner)
        finally:
            await server.stop(0)
