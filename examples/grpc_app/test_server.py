from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from google.protobuf.wrappers_pb2 import Int64Value, StringValue

from daprflow import DaprFlow, Endpoint, InvocationError
from daprflow.testing import TestSidecar
from examples.grpc_app.server import serve

price = Endpoint("prices", "price", str, int)


@asynccontextmanager
async def running() -> AsyncIterator[TestSidecar]:
    """Run an app of ours beside the one that speaks gRPC."""
    server, port = await serve(0)
    try:
        async with TestSidecar(DaprFlow("shop")) as dapr:
            dapr.grpc_app("prices", port)
            yield dapr
    finally:
        await server.stop(None)


async def test_a_caller_over_http_reaches_on_invoke() -> None:
    """It sees HTTP: a body, and a status in the place of a code."""
    async with running() as dapr:
        assert await dapr.client.invoke(price, "tea") == 3
        with pytest.raises(InvocationError) as failed:
            await dapr.client.invoke(price, "gold")
    assert failed.value.status == 404


async def test_a_caller_over_grpc_reaches_the_own_service() -> None:
    """Its calls pass through as they are."""
    async with running() as dapr:
        channel: Any = dapr.client.grpc_channel("prices")
        ask = channel.unary_unary(
            "/shop.Prices/Price", StringValue.SerializeToString, Int64Value.FromString
        )
        assert (await ask(StringValue(value="cup"))).value == 12
        with pytest.raises(grpc.aio.AioRpcError, match="no price for 'gold'"):
            await ask(StringValue(value="gold"))
