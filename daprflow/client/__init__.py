"""Typed calls of a sidecar's building blocks."""

from typing import TYPE_CHECKING

from daprflow.client.bindings import BindingAnswer
from daprflow.client.circuit import CircuitState
from daprflow.client.client import Client
from daprflow.client.configuration import Configuration, LiveConfiguration
from daprflow.client.event_message import EventMessage
from daprflow.client.interception import (
    Attempt,
    Attempts,
    CallNext,
    ClientCall,
    ClientInterceptor,
    ClientResponse,
)
from daprflow.client.locks import HeldLock, Lock
from daprflow.client.open_stream import OpenStream, StreamEnd
from daprflow.client.places import TargetLoad, TooManyCalls
from daprflow.client.proxies import RawActor
from daprflow.client.response import Response, StreamingResponse
from daprflow.client.retry_budget import RetryState
from daprflow.client.secrets import Secrets
from daprflow.client.state import Item, Items, Records, Store
from daprflow.client.state_search import Page, ascending, descending
from daprflow.client.state_writes import Delete, Upsert
from daprflow.client.subscription import Subscription
from daprflow.client.sync import SyncClient
from daprflow.client.sync_subscription import SyncEventMessage, SyncSubscription
from daprflow.late import late as _late
from daprflow.protocol.metadata import Metadata
from daprflow.protocol.queries import AND, EQ, GT, GTE, IN, LT, LTE, NEQ, OR, Sorting

if TYPE_CHECKING:
    from daprflow.client.sync_workflows import SyncWorkflowRun

__all__ = [
    "AND",
    "EQ",
    "GT",
    "GTE",
    "IN",
    "LT",
    "LTE",
    "NEQ",
    "OR",
    "Attempt",
    "Attempts",
    "BindingAnswer",
    "CallNext",
    "CircuitState",
    "Client",
    "ClientCall",
    "ClientInterceptor",
    "ClientResponse",
    "Configuration",
    "Delete",
    "EventMessage",
    "HeldLock",
    "Item",
    "Items",
    "LiveConfiguration",
    "Lock",
    "Metadata",
    "OpenStream",
    "Page",
    "RawActor",
    "Records",
    "Response",
    "RetryState",
    "Secrets",
    "Sorting",
    "Store",
    "StreamEnd",
    "StreamingResponse",
    "Subscription",
    "SyncClient",
    "SyncEventMessage",
    "SyncSubscription",
    "SyncWorkflowRun",
    "TargetLoad",
    "TooManyCalls",
    "Upsert",
    "ascending",
    "descending",
]

# Few programs have workflows; importing the client does not wait for them.
if not TYPE_CHECKING:
    __getattr__ = _late(globals(), {"SyncWorkflowRun": "daprflow.client.sync_workflows"})
