"""The gRPC server of one app's sidecar."""

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import grpc

from daprflow.protocol.grpc_codes import Code
from daprflow.sidecar.grpc_api.access import MethodAccess
from daprflow.sidecar.grpc_api.baggage import problem_of, sent_baggage
from daprflow.sidecar.grpc_api.call import SERVICE
from daprflow.sidecar.grpc_api.guard import Guard
from daprflow.sidecar.grpc_api.limits import server_options
from daprflow.sidecar.grpc_api.methods import METHODS
from daprflow.sidecar.grpc_api.proxy import Proxy
from daprflow.sidecar.grpc_api.reflection import METHODS as REFLECTION
from daprflow.sidecar.grpc_api.serving import abort, rpc_handler
from daprflow.sidecar.grpc_api.status import STATUS_CODES, Failure
from daprflow.sidecar.grpc_api.task_hub_door import TaskHubDoor
from daprflow.sidecar.grpc_api.watch import GrpcWatch

if TYPE_CHECKING:
    from daprflow.sidecar.runtime import Runtime

logger = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"
LOOK = 0.5
"""Seconds between two looks at whether the library's server still takes calls."""
LAST_CALLS = 1.0
"""Seconds for the calls of a server that takes no more."""


class GrpcServer:
    """Serves ``dapr.proto.runtime.v1.Dapr`` on loopback; other methods are passed on to apps.

    Args:
        runtime: the app's sidecar, which is open.
    """

    def __init__(self, runtime: "Runtime") -> None:
        self._runtime = runtime
        self._server: grpc.aio.Server | None = None
        self._watching: asyncio.Task[None] | None = None
        self._replacing: asyncio.Task[None] | None = None

    async def start(self, port: int = 0) -> int:
        """Listen; ``port`` 0 takes a free one.

        Returns:
            the port.

        Raises:
            OSError: the port is taken.
        """
        taken = await self._listen(port)
        self._watching = asyncio.get_running_loop().create_task(self._watch(taken))
        return taken

    async def stop(self, grace: float) -> None:
        """Take no further calls; those under way have ``grace`` seconds to end."""
        watching, self._watching = self._watching, None
        if watching is not None:
            watching.cancel()
            await asyncio.wait({watching})
        if self._replacing is not None:  # the library's servers are left whole, or not at all
            await self._replacing
        server, self._server = self._server, None
        if server is not None:
            await server.stop(grace)

    async def _listen(self, port: int) -> int:
        server = grpc.aio.server(options=server_options(self._runtime.options))
        self._server = server
        server.add_generic_rpc_handlers((_Router(self._runtime),))
        try:
            taken = server.add_insecure_port(f"{LOOPBACK}:{port}")
        except RuntimeError as error:
            raise OSError(f"cannot listen on {LOOPBACK}:{port} for gRPC") from error
        await server.start()
        return taken

    async def _watch(self, port: int) -> None:
        """Put another server in the place of one that has broken down.

        A single call of a method whose name is no UTF-8 makes the library's server take no more.
        """
        while (server := self._server) is not None:
            try:
                await server.wait_for_termination(LOOK)
            except Exception as error:  # noqa: BLE001 - whatever it broke down of
                name = type(error).__name__
                logger.warning("the gRPC server broke down (%s) and is started anew", name)
                replacing = self._replace(server, port)
                self._replacing = asyncio.get_running_loop().create_task(replacing)
                await asyncio.shield(self._replacing)

    async def _replace(self, broken: grpc.aio.Server, port: int) -> None:
        try:
            await self._listen(port)
        except OSError:
            logger.exception("the gRPC API cannot be served any more; HTTP goes on")
            self._server = None
        await broken.stop(LAST_CALLS)


class _Router(grpc.GenericRpcHandler):
    """Finds what answers a call: one lookup, after access was checked."""

    def __init__(self, runtime: "Runtime") -> None:
        self._runtime = runtime
        access = MethodAccess(runtime.resources.configuration)
        self._guard = Guard(runtime.options.api_token, access)
        self._proxy = Proxy(runtime)
        methods = {**REFLECTION, **{SERVICE + name: method for name, method in METHODS.items()}}
        self._methods = {
            path: rpc_handler(path, method, runtime) for path, method in methods.items()
        }
        self._methods.update(TaskHubDoor(runtime).handlers())
        self._watch: GrpcWatch | None = None
        if runtime.telemetry.watching:
            self._watch = GrpcWatch(runtime.telemetry, runtime.app_id)
            watched = self._watch.handler
            self._methods = {path: watched(path, each) for path, each in self._methods.items()}

    def service(self, handler_call_details: Any) -> Any:
        """Return the handler of a call, by its method and metadata."""
        method: str = handler_call_details.method
        metadata = handler_call_details.invocation_metadata
        refused = self._guard.refusal(method, metadata)
        if refused is not None:
            return _refusing(refused)
        if not self._runtime.health.outbound_ready:
            text = "dapr outbound is not ready"
            return _refusing(Failure(STATUS_CODES[Code.UNAVAILABLE], text))
        traced = not self._runtime.telemetry.untraced
        if traced and (baggage := sent_baggage(metadata)) and (problem := problem_of(baggage)):
            text = f"invalid baggage header: {problem}"
            return _refusing(Failure(STATUS_CODES[Code.INVALID_ARGUMENT], text))
        known = self._methods.get(method)
        if known is not None:
            return known
        passing = self._proxy.handler(method, metadata)
        return passing if self._watch is None else self._watch.handler(method, passing)


def _refusing(failed: Failure) -> Any:
    async def refuse(_requests: Any, context: Any) -> None:
        await abort(context, failed)

    return grpc.stream_stream_rpc_method_handler(refuse)
