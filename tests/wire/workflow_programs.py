"""The recorded workflow programs, `examples/workflow` of the official SDK, in our language."""

from datetime import timedelta
from typing import Any

import msgspec

from daprflow import Activity, DaprFlow, ExternalEvent, RetryPolicy, Workflow, WorkflowContext


class Order(msgspec.Struct):
    """What is bought."""

    cost: float
    product: str
    quantity: int


class Approval(msgspec.Struct):
    """Who approved."""

    approver: str


class JobStatus(msgspec.Struct):
    """A job that is watched."""

    job_id: str
    is_healthy: bool


POLICY = RetryPolicy(
    attempts=3,
    first=timedelta(seconds=1),
    backoff=2,
    maximum=timedelta(seconds=10),
    deadline=timedelta(seconds=100),
)
CHILDREN = Workflow("", "child_retryable_wf", None, None)
EVENT = ExternalEvent("event1", str)
APPROVED = ExternalEvent("approval_received", Approval)
hello_act = Activity("", "hello_act", int, None)
hello_retryable_act = Activity("", "hello_retryable_act", None, None)
act_for_child_wf = Activity("", "act_for_child_wf", int, None)
send_approval = Activity("", "send_approval", Order, None)
place_order = Activity("", "place_order", Order, None)
check_status = Activity("", "check_status", JobStatus, str)
send_alert = Activity("", "send_alert", str, None)
step1 = Activity("", "step1", int, int)
step2 = Activity("", "step2", int, int)
step3 = Activity("", "step3", int, int)
error_handler = Activity("", "error_handler", str, None)
get_batch = Activity("", "get_batch", int, list[int])
process_work_item = Activity("", "process_work_item", int, int)
final_process = Activity("", "final_process", int, None)
process_payload = Activity("", "process_payload", dict[str, Any], str)
summarize = Activity("", "summarize", list[str], str)


def program() -> DaprFlow:
    """An app with every recorded workflow."""
    app = DaprFlow("programs")
    _add_simple(app)
    _add_children(app)
    _add_chains(app)
    return app


def _add_simple(app: DaprFlow) -> None:
    """`simple.py`; the retried child counts as its original does."""
    children = 0

    @app.workflow
    async def hello_world_wf(ctx: WorkflowContext, _: str) -> str:
        await ctx.call(hello_act, 1)
        await ctx.call(hello_act, 10)
        await ctx.call(hello_retryable_act, retry=POLICY)
        await ctx.start(CHILDREN, retry=POLICY)
        event: Any = ctx.wait(EVENT)
        late: Any = ctx.sleep(timedelta(seconds=30))
        if await ctx.race(event, late) is late:
            return "Timeout"
        await ctx.call(hello_act, 100)
        await ctx.call(hello_act, 1000)
        return "Completed"

    @app.workflow
    async def child_retryable_wf(ctx: WorkflowContext) -> None:
        nonlocal children
        if not ctx.replaying:
            children += 1
        await ctx.call(act_for_child_wf, children, retry=POLICY)
        if children < 3:
            raise ValueError("Retryable Error")


def _add_children(app: DaprFlow) -> None:
    """`child_workflow.py`, `human_approval.py` and `monitor.py`."""

    @app.workflow
    async def main_workflow(ctx: WorkflowContext) -> None:
        child: Workflow[None, None] = Workflow("", "child_workflow", None, None)
        await ctx.start(child, id=f"{ctx.id}-child")

    @app.workflow
    async def child_workflow(_: WorkflowContext) -> None:
        return

    @app.workflow(name="purchase_order_wf")
    async def purchase_order(ctx: WorkflowContext, order: Order) -> str:
        if order.cost < 1000:
            return "Auto-approved"
        await ctx.call(send_approval, order)
        approval: Any = ctx.wait(APPROVED)
        late: Any = ctx.sleep(timedelta(hours=24))
        if await ctx.race(approval, late) is late:
            return "Cancelled"
        await ctx.call(place_order, order)
        return f"Approved by '{(await approval).approver}'"

    @app.workflow
    async def status_monitor(ctx: WorkflowContext, job: JobStatus) -> None:
        status = await ctx.call(check_status, job)
        pause = 60
        if status == "healthy":
            job.is_healthy = True
        else:
            if job.is_healthy:
                job.is_healthy = False
                _ = ctx.call(send_alert, f"Job '{job.job_id}' is unhealthy!")
            pause = 5
        await ctx.sleep(timedelta(seconds=pause))
        ctx.restart(job)


def _add_chains(app: DaprFlow) -> None:
    """`task_chaining.py`, `fan_out_fan_in.py` and `async_activities.py`."""

    @app.workflow
    async def random_workflow(ctx: WorkflowContext, number: int) -> list[int]:
        try:
            first = await ctx.call(step1, number)
            second = await ctx.call(step2, first)
            third = await ctx.call(step3, second)
        except Exception as error:
            await ctx.call(error_handler, str(error))
            raise
        return [first, second, third]

    @app.workflow
    async def batch_processing(ctx: WorkflowContext, size: int) -> None:
        batch = await ctx.call(get_batch, size)
        outputs = await ctx.gather(*[ctx.call(process_work_item, each) for each in batch])
        await ctx.call(final_process, sum(outputs))

    @app.workflow
    async def fan_out_fan_in_workflow(ctx: WorkflowContext, payloads: list[dict[str, Any]]) -> str:
        results = await ctx.gather(*[ctx.call(process_payload, each) for each in payloads])
        return await ctx.call(summarize, results)
