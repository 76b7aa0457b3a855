"""A gRPC service without generated code: every kind of call, on bytes, with what came along."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import grpc

LONG = b"long"


@dataclass(eq=False)
class Echo:
    """Answers calls, and remembers the metadata of each.

    Attributes:
        hold: while it is not set, ``Unary`` waits.
    """

    metadata: list[dict[str, str]] = field(default_factory=list)
    hold: asyncio.Event = field(default_factory=asyncio.Event)
    long: int = 0

    def __post_init__(self) -> None:
        self.hold.set()

    def add_to(self, server: grpc.aio.Server) -> None:
        """Have a server answer the calls."""
        handlers: dict[str, Any] = {
            "Unary": grpc.unary_unary_rpc_method_handler(self.unary),
            "Down": grpc.unary_stream_rpc_method_handler(self.down),
            "Up": grpc.stream_unary_rpc_method_handler(self.up),
            "Both": grpc.stream_stream_rpc_method_handler(self.both),
        }
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler("test.Echo", handlers),)
        )

    async def unary(self, request: bytes, context: Any) -> bytes:
        """Answer the request, with a trailer; ``fail`` fails, ``long`` gives many bytes."""
        self._note(context)
        await self.hold.wait()
        if request == b"fail":
            await context.abort(grpc.StatusCode.NOT_FOUND, "none", (("why", "because"),))
        context.set_trailing_metadata((("seen", "yes"),))
        return bytes(self.long) if request == LONG else request

    async def down(self, request: bytes, context: Any) -> AsyncIterator[bytes]:
        """Give the request out byte by byte."""
        self._note(context)
        for number in request:
            yield bytes([number])

    async def up(self, requests: AsyncIterator[bytes], context: Any) -> bytes:
        """Join all requests."""
        self._note(context)
        return b"".join([each async for each in requests])

    async def both(self, requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        """Answer each request as it comes."""
        self._note(context)
        async for each in requests:
            yield each.upper()

    def _note(self, context: Any) -> None:
        self.metadata.append(dict(context.invocation_metadata()))


class EchoStub:
    """Calls that service, as a generated stub would; like those it has no types."""

    def __init__(self, channel: Any) -> None:
        self.unary = channel.unary_unary("/test.Echo/Unary")
        self.down = channel.unary_stream("/test.Echo/Down")
        self.up = channel.stream_unary("/test.Echo/Up")
        self.both = channel.stream_stream("/test.Echo/Both")


@contextlib.asynccontextmanager
async def serving(echo: Echo, pair: bytes | None = None) -> AsyncIterator[int]:
    """Serve on a free port; with TLS where a key with its certificate is given."""
    server = grpc.aio.server(options=(("grpc.max_send_message_length", -1),))
    echo.add_to(server)
    if pair is None:
        port = server.add_insecure_port("127.0.0.1:0")
    else:
        port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(pair, pair)]))
    await server.start()
    try:
        yield port
    finally:
        await server.stop(0)
