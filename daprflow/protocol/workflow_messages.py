"""The protobuf messages of Dapr's workflows, which ship inside the same distribution.

As `daprflow.protocol.messages`, it is imported only by modules that need gRPC.
"""

from dapr.ext.workflow._durabletask.internal.backend_service_pb2 import (
    BackendWorkflowStateMetadata,
)
from dapr.ext.workflow._durabletask.internal.history_events_pb2 import *  # noqa: F403 - all of them
from dapr.ext.workflow._durabletask.internal.orchestration_pb2 import *  # noqa: F403 - likewise
from dapr.ext.workflow._durabletask.internal.orchestrator_actions_pb2 import *  # noqa: F403
from dapr.ext.workflow._durabletask.internal.orchestrator_service_pb2 import *  # noqa: F403
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import DecodeError, Message
from google.protobuf.timestamp_pb2 import Timestamp
from google.protobuf.wrappers_pb2 import BoolValue, Int32Value, StringValue

__all__ = [
    "BackendWorkflowStateMetadata",
    "BoolValue",
    "DecodeError",
    "Empty",
    "Int32Value",
    "Message",
    "StringValue",
    "Timestamp",
]
