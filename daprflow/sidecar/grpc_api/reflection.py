"""Server reflection: tools such as grpcurl ask here which methods and messages there are."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha.reflection import aio

from daprflow.protocol import messages
from daprflow.sidecar.grpc_api.call import SERVICE, GrpcCall, Method, Shape

# Both versions have the same messages; tools ask for the newer one first.
_SERVICES = ("grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection")


async def _describe(
    call: GrpcCall, requests: AsyncIterator[Any]
) -> AsyncIterator[messages.Message]:
    servicer = aio.ReflectionServicer((SERVICE.strip("/"), *_SERVICES))
    described: Any = servicer.ServerReflectionInfo(requests, call.context)  # stubs take it wrong
    async for answer in described:
        yield answer


_METHOD = Method(_describe, reflection_pb2.ServerReflectionRequest, Shape.BOTH_STREAM)

METHODS: Mapping[str, Method] = {f"/{name}/ServerReflectionInfo": _METHOD for name in _SERVICES}
"""By their whole path: these are not Dapr's."""
