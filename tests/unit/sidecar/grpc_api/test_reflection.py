"""Reflection: what tools ask a gRPC server before they call it."""

import asyncio
from pathlib import Path

import grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

from tests.helpers.grpc_sidecar import grpc_sidecar


async def test_a_tool_finds_the_service_and_its_methods(tmp_path: Path) -> None:
    """Reflection lists Dapr's service, and describes its methods with their messages."""
    async with grpc_sidecar(tmp_path, {}) as sidecar:
        services, methods = await asyncio.to_thread(look_around, sidecar.port)
    assert "dapr.proto.runtime.v1.Dapr" in services
    assert {"GetState", "SubscribeTopicEventsAlpha1"} <= methods


def look_around(port: int) -> tuple[list[str], set[str]]:
    """Ask as a tool does."""
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        database = ProtoReflectionDescriptorDatabase(channel)
        services = list(database.get_services())
        file = database.FindFileContainingSymbol("dapr.proto.runtime.v1.Dapr")
        return services, {method.name for service in file.service for method in service.method}
