"""Dapr's protobuf messages, from the distribution of its owners; importing them takes 0.2 s.

The only module that knows them. Whoever imports it is itself imported only where gRPC is used.
"""

# The package names of the distribution stay the same when its files are split.
from dapr.proto.common.v1.common_pb2 import *  # noqa: F403 - all of them, by their own names
from dapr.proto.runtime.v1 import *  # noqa: F403 - likewise
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.empty_pb2 import Empty
from google.protobuf.json_format import Error as JsonFormatError
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.message import DecodeError, Message
from google.protobuf.struct_pb2 import NULL_VALUE, Struct, Value
from google.protobuf.wrappers_pb2 import BytesValue
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, Help, ResourceInfo
from google.rpc.status_pb2 import Status as RpcStatus

__all__ = [
    "NULL_VALUE",
    "AnyMessage",
    "BadRequest",
    "BytesValue",
    "DecodeError",
    "Empty",
    "ErrorInfo",
    "Help",
    "JsonFormatError",
    "Message",
    "MessageToDict",
    "ParseDict",
    "ResourceInfo",
    "RpcStatus",
    "Struct",
    "Value",
]
