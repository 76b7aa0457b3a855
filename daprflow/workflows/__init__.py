"""Durable workflows written as plain async functions."""

from daprflow.workflows.context import WorkflowContext
from daprflow.workflows.retry import RetryPolicy
from daprflow.workflows.saga import Saga
from daprflow.workflows.tasks import Task

__all__ = ["RetryPolicy", "Saga", "Task", "WorkflowContext"]
