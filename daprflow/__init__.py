"""Dapr services in Python as decorated functions."""

from daprflow.addresses import Endpoint, Topic
from daprflow.app import DaprFlow
from daprflow.client import Client, Item, Store
from daprflow.errors import (
    AppDefinitionError,
    BulkPublishError,
    BulkStateError,
    DaprFlowError,
    Drop,
    EtagMismatch,
    InvocationError,
    MissingExtra,
    NotFound,
    Retry,
    SecretNotFound,
    SidecarError,
    SidecarUnavailable,
)
from daprflow.handlers.envelopes import Batch, BindingEvent, Entry
from daprflow.handlers.handler import Delivery, Interceptor, Next, Outcome
from daprflow.handlers.router import Router
from daprflow.handlers.trace import trace_context
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
    "DaprFlow",
    "DaprFlowError",
    "Delivery",
    "Drop",
    "Endpoint",
    "Entry",
    "EtagMismatch",
    "Interceptor",
    "InvocationError",
    "Item",
    "MissingExtra",
    "Next",
    "NotFound",
    "Outcome",
    "Retry",
    "Router",
    "SecretNotFound",
    "SidecarError",
    "SidecarUnavailable",
    "Status",
    "Store",
    "Topic",
    "trace_context",
]
