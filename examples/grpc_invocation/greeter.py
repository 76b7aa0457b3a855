"""What protoc's gRPC plugin makes of greeter.proto, in short; use its files in a real project."""

from typing import Any

import grpc
from google.protobuf.wrappers_pb2 import StringValue

_READ, _WRITE = StringValue.FromString, StringValue.SerializeToString


class GreeterStub:
    def __init__(self, channel: Any) -> None:
        self.Greet = channel.unary_unary("/greeter.Greeter/Greet", _WRITE, _READ)
        self.Spell = channel.unary_stream("/greeter.Greeter/Spell", _WRITE, _READ)


def add_GreeterServicer_to_server(servicer: Any, server: grpc.aio.Server) -> None:  # noqa: N802 - protoc's name
    handlers: dict[str, Any] = {
        "Greet": grpc.unary_unary_rpc_method_handler(servicer.Greet, _READ, _WRITE),
        "Spell": grpc.unary_stream_rpc_method_handler(servicer.Spell, _READ, _WRITE),
    }
    handler = grpc.method_handlers_generic_handler("greeter.Greeter", handlers)
    server.add_generic_rpc_handlers((handler,))
