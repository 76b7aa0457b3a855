"""Dapr services in Python as decorated functions."""

from typing import TYPE_CHECKING

from daprflow.actors import Actor, ActorInterface, Part, actor_method
from daprflow.actors.defaults import ActorDefaults
from daprflow.addresses import Activity, Endpoint, ExternalEvent, Job, Topic, Workflow
from daprflow.app import DaprFlow
from daprflow.client import Client, Item, Store, SyncClient
from daprflow.client.jobs import ScheduledJob
from daprflow.errors import (
    ActivityFailed,
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
    NonDeterminismError,
    NotFound,
    Retry,
    SecretNotFound,
    SidecarError,
    SidecarUnavailable,
    StopReminder,
    WorkflowError,
    WorkflowFailed,
    WorkflowRuleError,
)
from daprflow.handlers.codecs import Codecs, ContentCodec, JsonCodec
from daprflow.handlers.envelopes import Batch, BindingEvent, ConfigItem, Entry
from daprflow.handlers.handler import Delivery, Interceptor, Next, Outcome
from daprflow.handlers.own_workflows import OwnActivity, OwnActivityWithoutInput
from daprflow.handlers.parameters import Header, Path, Query
from daprflow.handlers.router import Router
from daprflow.handlers.trace import trace_context
from daprflow.late import late as _late
from daprflow.policies import ConstantFailurePolicy, DropFailurePolicy
from daprflow.protocol.cloudevents import CloudEvent
from daprflow.protocol.deliveries import Status
from daprflow.workflows.options import WorkflowSettings

if TYPE_CHECKING:
    from daprflow.client.workflow_runs import WorkflowRun, WorkflowStatus
    from daprflow.protocol.workflow_actions import WorkflowState
    from daprflow.workflows.context import WorkflowContext
    from daprflow.workflows.retry import RetryPolicy
    from daprflow.workflows.saga import Saga
    from daprflow.workflows.tasks import Task

__all__ = [
    "Activity",
    "ActivityFailed",
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
    "ExternalEvent",
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
    "NonDeterminismError",
    "NotFound",
    "Outcome",
    "OwnActivity",
    "OwnActivityWithoutInput",
    "Part",
    "Path",
    "Query",
    "Retry",
    "RetryPolicy",
    "Router",
    "Saga",
    "ScheduledJob",
    "SecretNotFound",
    "SidecarError",
    "SidecarUnavailable",
    "Status",
    "StopReminder",
    "Store",
    "SyncClient",
    "Task",
    "Topic",
    "Workflow",
    "WorkflowContext",
    "WorkflowError",
    "WorkflowFailed",
    "WorkflowRuleError",
    "WorkflowRun",
    "WorkflowSettings",
    "WorkflowState",
    "WorkflowStatus",
    "actor_method",
    "trace_context",
]

# Only apps with workflows need these; the others do not wait for them.
if not TYPE_CHECKING:
    __getattr__ = _late(
        globals(),
        {
            "RetryPolicy": "daprflow.workflows.retry",
            "Saga": "daprflow.workflows.saga",
            "Task": "daprflow.workflows.tasks",
            "WorkflowContext": "daprflow.workflows.context",
            "WorkflowRun": "daprflow.client.workflow_runs",
            "WorkflowState": "daprflow.protocol.workflow_actions",
            "WorkflowStatus": "daprflow.client.workflow_runs",
        },
    )
