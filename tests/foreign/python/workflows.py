"""Workflows with the official Python SDK; the app goes on until it is ended.

One line of JSON on standard output tells what its client saw of the other app's workflow.
"""

import json
import os
import signal
import sys
from collections.abc import Generator
from datetime import timedelta
from typing import Any

from dapr.ext.workflow import (
    DaprWorkflowClient,
    DaprWorkflowContext,
    RetryPolicy,
    WorkflowRuntime,
    when_all,
)

OTHER = "ours"
TRIES: dict[str, int] = {}
SOON = timedelta(milliseconds=50)
Steps = Generator[Any, Any, Any]


def their_double(_context: Any, number: int) -> int:
    """Double a number."""
    return number * 2


def flaky(_context: Any, key: str) -> int:
    """Succeed when tried for the third time."""
    TRIES[key] = TRIES.get(key, 0) + 1
    if TRIES[key] < 3:
        raise ValueError(f"tried {TRIES[key]} times")
    return TRIES[key]


def their_order(context: DaprWorkflowContext, order: dict[str, Any]) -> Steps:
    """Double an order."""
    total = yield context.call_activity(their_double, input=order["total"])
    return {"id": order["id"], "total": total}


def tour(context: DaprWorkflowContext, order: dict[str, Any]) -> Steps:
    """Do a bit of everything."""
    doubled = yield context.call_activity(their_double, input=order["total"])
    fan = yield when_all([context.call_activity(their_double, input=each) for each in (1, 2, 3)])
    child = yield context.call_child_workflow(their_order, input=order)
    yield context.create_timer(SOON)
    policy = RetryPolicy(first_retry_interval=SOON, max_number_of_attempts=3)
    tries = yield context.call_activity(flaky, input=context.instance_id, retry_policy=policy)
    number = yield context.call_activity("our_double", input=doubled, app_id=OTHER)
    ordered = yield context.call_child_workflow("our_order", input=child, app_id=OTHER)
    context.set_custom_status("waiting")
    go = yield context.wait_for_external_event("Go")
    return {
        "doubled": doubled,
        "fan": fan,
        "child": child,
        "tries": tries,
        "go": go,
        "ours": [number, ordered],
    }


def ours() -> None:
    """Stand for the other app's workflow: the client looks at the name alone."""


def main() -> None:
    """Host, use the other app through its sidecar, tell, and wait."""
    runtime = WorkflowRuntime()
    for workflow in (tour, their_order):
        runtime.register_workflow(workflow)
    for activity in (their_double, flaky):
        runtime.register_activity(activity)
    runtime.start()  # type: ignore[no-untyped-call]
    client = DaprWorkflowClient(host="127.0.0.1", port=os.environ["OTHER_GRPC_PORT"])
    started = client.schedule_new_workflow(ours, input={"id": "o", "total": 3}, instance_id="mixed")
    client.raise_workflow_event(started, "go", data={"id": "go", "total": 5})
    state = client.wait_for_workflow_completion(started, timeout_in_seconds=30)
    seen = [state.runtime_status.name, state.serialized_output] if state else []
    sys.stdout.write(json.dumps({"ours": seen}) + "\n")
    sys.stdout.flush()
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    runtime.shutdown()  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main()
