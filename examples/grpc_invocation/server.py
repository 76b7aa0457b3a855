"""The other team's service; it knows nothing of Dapr, and one in any language would do."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from typing import Any

import grpc
from google.protobuf.wrappers_pb2 import StringValue


async def greet(request: StringValue, context: Any) -> StringValue:
    if request.value == "nobody":
        await context.abort(grpc.StatusCode.NOT_FOUND, "unknown")
    return StringValue(value=f"Hello {request.value}")


async def spell(request: StringValue, _context: Any) -> AsyncIterator[StringValue]:
    for letter in request.value:
        yield StringValue(value=letter)


async def main() -> None:
    read, write = StringValue.FromString, StringValue.SerializeToString
    methods: dict[str, Any] = {
        "Greet": grpc.unary_unary_rpc_method_handler(greet, read, write),
        "Spell": grpc.unary_stream_rpc_method_handler(spell, read, write),
    }
    server = grpc.aio.server()
    service = grpc.method_handlers_generic_handler("greeter.Greeter", methods)
    server.add_generic_rpc_handlers((service,))
    server.add_insecure_port(f"127.0.0.1:{os.environ['APP_PORT']}")
    await server.start()
    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    await stopping.wait()
    await server.stop(grace=1)


if __name__ == "__main__":
    asyncio.run(main())
