"""Before: a workflow with ``dapr.ext.workflow``: its own worker, generators, a client beside it."""

from collections.abc import Generator
from datetime import timedelta
from typing import Any

from dapr.ext.workflow import (
    DaprWorkflowClient,
    DaprWorkflowContext,
    RetryPolicy,
    WorkflowActivityContext,
    WorkflowRuntime,
    when_all,
    when_any,
)
from pydantic import BaseModel


# --8<-- [start:types]
class Order(BaseModel):
    id: str
    total: int


# --8<-- [end:types]

runtime = WorkflowRuntime()


# --8<-- [start:activities]
def charge(ctx: WorkflowActivityContext, order: Order) -> str:
    print(f"charged {order.total} for {order.id}", flush=True)
    return f"receipt-{order.id}"


def score(ctx: WorkflowActivityContext, order: Order) -> int:
    return 90 if order.total > 100 else 10


def refund(ctx: WorkflowActivityContext, receipt: str) -> None:
    print(f"gave back {receipt}", flush=True)


# --8<-- [end:activities]


# --8<-- [start:workflow]
patience = RetryPolicy(
    first_retry_interval=timedelta(seconds=1), max_number_of_attempts=5, backoff_coefficient=2
)


def checkout(ctx: DaprWorkflowContext, order: Order) -> Generator[Any, Any, str]:
    risk, receipt = yield when_all(
        [
            ctx.call_activity(score, input=order),
            ctx.call_activity(charge, input=order, retry_policy=patience),
        ]
    )
    ctx.set_custom_status(f"paid, risk {risk}")
    if risk > 80:
        approved = ctx.wait_for_external_event("approved")
        first = yield when_any([approved, ctx.create_timer(timedelta(days=1))])
        if first is not approved or not approved.get_result():
            yield ctx.call_activity(refund, input=receipt)
            return "rejected"
    return receipt


# --8<-- [end:workflow]


# --8<-- [start:run]
def main() -> None:
    runtime.register_workflow(checkout)
    for activity in (charge, score, refund):
        runtime.register_activity(activity)
    runtime.start()
    try:
        client = DaprWorkflowClient()
        order = Order(id="o1", total=250)
        name = client.schedule_new_workflow(checkout, input=order.model_dump(), instance_id="o1")
        client.raise_workflow_event(name, "approved", data=True)
        state = client.wait_for_workflow_completion(name, timeout_in_seconds=30)
        print(state.runtime_status.name, state.serialized_output, flush=True)
        client.close()
    finally:
        runtime.shutdown()


# --8<-- [end:run]

if __name__ == "__main__":
    main()
