"""Dapr services in Python as decorated functions."""

from daprflow.actors import Actor, ActorInterface, Part, actor_method
from daprflow.actors.defaults import ActorDefaults
from daprflow.addresses import Endpoint, Job, Topic
from daprflow.app import DaprFlow
from daprflow.client import Client, Item, Store, SyncClient
from daprflow.client.jobs import ScheduledJob
from daprflow.errors import (
    ActorError,
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
    StopReminder,
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
    "Actor",
    "ActorDefaults",
    "ActorError",
    "ActorInterface",
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
    "Part",
    "Path",
    "Query",
    "Retry",
    "Router",
    "ScheduledJob",
    "SecretNotFound",
    "SidecarError",
    "SidecarUnavailable",
    "Status",
    "StopReminder",
    "Store",
    "SyncClient",
    "Topic",
    "actor_method",
    "trace_context",
]
