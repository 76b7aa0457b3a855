"""Running activities for a worker: the app's own handlers, one for each request."""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any, Protocol

from daprflow.handlers import trace
from daprflow.handlers.handler import Delivery, Next, Outcome
from daprflow.handlers.pool import PoolFull
from daprflow.protocol.history import Failure
from daprflow.workflows.failures import failure_of

logger = logging.getLogger(__name__)

BUSY = 0.05
"""Seconds until a plain ``def`` activity asks again for a thread, when all are busy."""


class Activity(Protocol):
    """One compiled activity."""

    @property
    def call(self) -> Next:
        """Runs it through the interceptors."""
        ...


class Activities:
    """The activities of an app, by name."""

    def __init__(self, activities: Mapping[str, Activity]) -> None:
        self._activities = activities

    async def run(self, request: Any) -> str | Failure | None:
        """Run an activity; return its result as JSON, None for none, or why it failed."""
        activity = self._activities.get(request.name)
        instance = request.workflowInstance.instanceId
        if activity is None:
            known = ", ".join(f"'{each}'" for each in self._activities) or "none"
            return Failure(
                "ActivityNotRegistered",
                f"no activity is named '{request.name}' in this app; it has {known}",
                final=True,
            )
        headers = _headers(request, instance)
        body = request.input.value.encode() if request.HasField("input") else b""
        delivery = Delivery("activity", request.name, body, headers)
        trace.DELIVERED.set(headers)
        outcome = await _outcome(activity, delivery)
        if outcome.error is not None:
            logger.info(
                "activity '%s' of workflow '%s' failed: %s",
                request.name,
                instance,
                type(outcome.error).__name__,
                exc_info=outcome.error,
            )
            return failure_of(outcome.error)
        if outcome.http_status >= 400:  # noqa: PLR2004 - an interceptor's refusal
            return Failure("ActivityRefused", f"an interceptor answered {outcome.http_status}")
        return outcome.body.decode() or None


async def _outcome(activity: Activity, delivery: Delivery) -> Outcome:
    while True:
        try:
            return await activity.call(delivery)
        except PoolFull:
            await asyncio.sleep(BUSY)
        except BaseException as error:
            if _is_from_outside(error):
                raise
            return Outcome(http_status=500, error=error)


def _is_from_outside(error: BaseException) -> bool:
    """Whether the app ends; what an activity raises, as ``sys.exit`` does, is its failure."""
    if isinstance(error, asyncio.CancelledError):
        task = asyncio.current_task()
        return task is not None and task.cancelling() > 0
    return isinstance(error, KeyboardInterrupt | GeneratorExit)


def _headers(request: Any, instance: str) -> tuple[tuple[bytes, bytes], ...]:
    """Return what an interceptor, or who asks for the `Delivery`, may want to know."""
    pairs = [
        (b"dapr-workflow-id", instance.encode()),
        (b"dapr-task-id", str(request.taskId).encode()),
        (b"dapr-task-execution-id", request.taskExecutionId.encode()),
    ]
    if request.HasField("parentTraceContext"):
        context = request.parentTraceContext
        pairs.append((b"traceparent", context.traceParent.encode()))
        if context.traceState.value:
            pairs.append((b"tracestate", context.traceState.value.encode()))
    return tuple(pairs)
