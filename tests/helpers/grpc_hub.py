"""A task hub in small over real gRPC: it knows one instance, and comes and goes on one port."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import grpc

from daprflow.client import Client
from daprflow.protocol import messages as m
from daprflow.protocol import workflow_messages as pb
from daprflow.settings import Settings
from tests.helpers.grpc_beside import GrpcBeside
from tests.helpers.grpc_echo import Echo
from tests.helpers.own_ports import free_port
from tests.helpers.small_sidecar import SmallSidecar


class SmallHub:
    """Answers calls about workflows, writes of state, and those of `Echo`.

    Attributes:
        port: where it is while it is there.
        calls: the names of the methods that were called.
        hold: while it is not set, calls about workflows wait.
        busy: while it is set, these are answered with UNAVAILABLE.
    """

    def __init__(self) -> None:
        self.port = free_port()
        self.calls: list[str] = []
        self.hold = asyncio.Event()
        self.hold.set()
        self.busy = False
        self.echo = Echo()
        self._server: Any = None

    async def come(self) -> None:
        """Listen."""
        server = self._server = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
        hub = {
            "GetInstance": (self._get, pb.GetInstanceRequest),
            "WaitForInstanceCompletion": (self._get, pb.GetInstanceRequest),
            "TerminateInstance": (self._terminate, pb.TerminateRequest),
        }
        self._add("TaskHubSidecarService", hub)
        self._add("dapr.proto.runtime.v1.Dapr", {"SaveState": (self._save, m.SaveStateRequest)})
        self.echo.add_to(server)
        assert server.add_insecure_port(f"127.0.0.1:{self.port}") == self.port
        await server.start()

    async def go(self) -> None:
        """Break every connection, and listen no more."""
        server, self._server = self._server, None
        if server is not None:
            await server.stop(0)

    def _add(self, service: str, methods: dict[str, Any]) -> None:
        handlers: dict[str, Any] = {
            name: grpc.unary_unary_rpc_method_handler(
                method, request.FromString, lambda answer: answer.SerializeToString()
            )
            for name, (method, request) in methods.items()
        }
        generic = grpc.method_handlers_generic_handler(service, handlers)
        self._server.add_generic_rpc_handlers((generic,))

    async def _get(self, request: Any, context: Any) -> Any:
        self.calls.append("get")
        await self._ready(context)
        state = pb.WorkflowState(instanceId=request.instanceId)
        return pb.GetInstanceResponse(exists=True, workflowState=state)

    async def _terminate(self, _: Any, context: Any) -> Any:
        self.calls.append("terminate")
        await self._ready(context)
        return pb.TerminateResponse()

    async def _save(self, _: Any, context: Any) -> Any:
        self.calls.append("save")
        await self._ready(context)
        return m.Empty()

    async def _ready(self, context: Any) -> None:
        await self.hold.wait()
        if self.busy:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "not now")


@contextlib.asynccontextmanager
async def small_hub() -> AsyncIterator[SmallHub]:
    """Serve one."""
    hub = SmallHub()
    await hub.come()
    try:
        yield hub
    finally:
        hub.hold.set()
        hub.echo.hold.set()
        await hub.go()


def client_of(hub: SmallHub, **settings: Any) -> Client:
    """Return a client whose gRPC calls go there, and HTTP ones to a sidecar that is always there.

    Its HTTP side is a transport of its own, so that its gRPC side fails alone.
    """
    return Client(Settings(**settings), transport=GrpcBeside(SmallSidecar(), hub.port))
