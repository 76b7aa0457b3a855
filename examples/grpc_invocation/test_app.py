from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from google.protobuf.wrappers_pb2 import StringValue

from daprflow import InvocationError
from daprflow.testing import TestSidecar
from examples.grpc_invocation.app import app, spell, welcome
from examples.grpc_invocation.greeter import add_GreeterServicer_to_server


class Greeter:
    """The other team's service, as far as these tests need it."""

    async def Greet(self, request: StringValue, context: Any) -> StringValue:  # noqa: N802 - gRPC's name
        """Greet whoever is somebody."""
        if request.value == "nobody":
            await context.abort(grpc.StatusCode.NOT_FOUND, "unknown")
        return StringValue(value=f"Hello {request.value}")

    async def Spell(self, request: StringValue, _: Any) -> AsyncIterator[StringValue]:  # noqa: N802 - gRPC's name
        """Give the letters out one by one."""
        for letter in request.value:
            yield StringValue(value=letter)


@asynccontextmanager
async def running() -> AsyncIterator[TestSidecar]:
    """Run the app beside a real gRPC server."""
    server = grpc.aio.server()
    add_GreeterServicer_to_server(Greeter(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with TestSidecar(app) as dapr:
            dapr.grpc_app("greeter", port)
            yield dapr
    finally:
        await server.stop(None)


async def test_a_stub_calls_through_the_sidecar() -> None:
    """A call and a stream reach the service, and come back typed."""
    async with running() as dapr:
        assert await dapr.invoke(welcome, "ann") == "Hello ann"
        assert await dapr.invoke(spell, "ann") == ["a", "n", "n"]


async def test_an_error_of_the_service_has_its_code() -> None:
    """The app sees gRPC's own status, and answers with one of HTTP's."""
    async with running() as dapr:
        with pytest.raises(InvocationError) as raised:
            await dapr.invoke(welcome, "nobody")
    assert raised.value.status == 404
    assert b"nobody is called nobody" in raised.value.body
