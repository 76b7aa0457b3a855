"""What a runtime does with the state calls of its gRPC API, over a store of the embedded sidecar.

A runtime keeps the bytes of a value as they come (``grpc.jsonl``); nothing more is needed here.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc.aio  # type: ignore[import-untyped]  # it ships no types
from dapr.proto import api_service_v1, api_v1
from google.protobuf.empty_pb2 import Empty

from daprflow.sidecar.components.base import StateStore, StateWrite


class GrpcState(api_service_v1.DaprServicer):
    """Saves and reads one store, under the keys of one app."""

    def __init__(self, store: StateStore, app_id: str) -> None:
        self._store = store
        self._prefix = f"{app_id}||"

    async def SaveState(self, request: api_v1.SaveStateRequest, _: object) -> Empty:  # noqa: N802 - gRPC's name
        """Write each value as it came."""
        for item in request.states:
            await self._store.write(StateWrite(self._prefix + item.key, item.value))
        return Empty()

    async def GetState(  # noqa: N802 - gRPC's name
        self, request: api_v1.GetStateRequest, _: object
    ) -> api_v1.GetStateResponse:
        """Read a value as it is stored."""
        found = await self._store.get(self._prefix + request.key)
        if found is None:
            return api_v1.GetStateResponse()
        return api_v1.GetStateResponse(data=found.data, etag=found.etag)


@asynccontextmanager
async def grpc_state(store: StateStore, app_id: str) -> AsyncIterator[int]:
    """Serve ``store`` on loopback; gives the port."""
    server = grpc.aio.server()
    add = api_service_v1.add_DaprServicer_to_server
    add(GrpcState(store, app_id), server)  # type: ignore[no-untyped-call]  # generated
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield port
    await server.stop(None)
