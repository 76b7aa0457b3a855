"""Peer: workflows on Dapr's own extension; seconds for each line ``chain 100`` or ``many 100``."""

import sys
import time
from collections.abc import Generator

from dapr.ext.workflow import (
    DaprWorkflowClient,
    DaprWorkflowContext,
    WorkflowActivityContext,
    WorkflowRuntime,
)

PATIENCE = 120


def step(_: WorkflowActivityContext, number: int) -> int:
    """Do next to nothing."""
    return number + 1


def chain(ctx: DaprWorkflowContext, count: int) -> Generator[object, int, int]:
    """Call one activity after the other."""
    number = 0
    for _ in range(count):
        number = yield ctx.call_activity(step, input=number)
    return number


def run(client: DaprWorkflowClient, length: int, runs: int) -> float:
    """Start workflows at once and wait for all of them."""
    began = time.perf_counter()
    ids = [client.schedule_new_workflow(chain, input=length) for _ in range(runs)]
    for each in ids:
        state = client.wait_for_workflow_completion(each, timeout_in_seconds=PATIENCE)
        if state is None or state.serialized_output != str(length):
            raise AssertionError(f"a workflow came to something else: {state}")
    return time.perf_counter() - began


def main() -> None:
    """Work until standard input closes."""
    runtime = WorkflowRuntime()
    runtime.register_workflow(chain)
    runtime.register_activity(step)
    runtime.start()  # type: ignore[no-untyped-call,unused-ignore]
    client = DaprWorkflowClient()
    print("ready", flush=True)
    for line in sys.stdin:
        work, count = line.split()
        seconds = run(client, int(count), 1) if work == "chain" else run(client, 3, int(count))
        print(seconds, flush=True)
    runtime.shutdown()  # type: ignore[no-untyped-call,unused-ignore]


if __name__ == "__main__":
    main()
