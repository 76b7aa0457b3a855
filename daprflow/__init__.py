"""Dapr services in Python as decorated functions."""

from daprflow.addresses import Endpoint, Job, Topic
from daprflow.app import DaprFlow
from daprflow.client import Client, Item, Store, SyncClient
from daprflow.client.jobs import ScheduledJob
from daprflow.errors import (
    AppDefinitionError,
    BulkPublishError,
    BulkStateError,
    DaprFlowError,
    Drop,
    EtagMismatch,
    InvocationError,
    LockLost,
    LockTaken,
    MissingExtra,
    NotFound,
    Retry,
    SecretNotFound,
    SidecarError,
    SidecarUnavailable,
)
from daprflow.handlers.codecs import Codecs, ContentCodec, JsonCodec
from daprflow.handlers.envelopes import Batch, BindingEvent, ConfigItem, Entry
from daprflow.handlers.handler import Delivery, Interceptor, Next, Outcome
from daprflow.handlers.parameters import Header, Path, Query
from daprflow.handlers.router import Router
from daprflow.handlers.trace import trace_context
from daprflow.policies import ConstantFailurePolicy, DropFailurePolicy
from daprflow.protocol.cloudevents import CloudEvent
from daprflow.protocol.deliveries import Status

__all__ = [
    "AppDefinitionError",
    "Batch",
    "BindingEvent",
    "BulkPublishError",
    "BulkStateError",
    "Client",
    "CloudEvent",
    "Codecs",
    "ConfigItem",
    "ConstantFailurePolicy",
    "ContentCodec",
    "DaprFlow",
    "DaprFlowError",
    "Delivery",
    "Drop",
    "DropFailurePolicy",
    "Endpoint",
    "Entry",
    "EtagMismatch",
    "Header",
    "Interceptor",
    "InvocationError",
    "Item",
    "Job",
    "JsonCodec",
    "LockLost",
    "LockTaken",
    "MissingExtra",
    "Next",
    "NotFound",
    "Outcome",
    "Path",
    "Query",
    "Retry",
    "Router",
    "ScheduledJob",
    "SecretNotFound",
    "SidecarError",
    "SidecarUnavailable",
    "Status",
    "Store",
    "SyncClient",
    "Topic",
    "trace_context",
]
