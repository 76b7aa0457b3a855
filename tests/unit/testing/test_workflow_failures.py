"""How what goes wrong in workflows and activities arrives, in an app under test."""

import asyncio
import logging
from typing import Any

import msgspec
import pytest

from daprflow import (
    Activity,
    ActivityFailed,
    DaprFlow,
    Delivery,
    ExternalEvent,
    Next,
    Outcome,
    RetryPolicy,
    WorkflowContext,
    WorkflowFailed,
)
from daprflow.testing import TestSidecar


class Order(msgspec.Struct):
    id: str


class Oddity(BaseException):
    """Something that 'except Exception' does not catch."""


order_event = ExternalEvent("order", Order)


def app_of(raised: Any, *, plain: bool = False) -> DaprFlow:
    """An app whose workflow calls an activity that raises something, and returns what it caught."""
    app = DaprFlow("failing")

    async def fail() -> int:
        raise raised

    def fail_in_thread() -> int:
        raise raised

    activity = app.activity(name="fail")(fail_in_thread if plain else fail)

    @app.workflow
    async def flow(ctx: WorkflowContext) -> list[str]:
        try:
            await ctx.call(activity)
        except ActivityFailed as failed:
            cause = failed.cause.type if failed.cause else ""
            return [failed.type, failed.message, cause, str(failed)]
        return []

    return app


def flow_of(app: DaprFlow) -> Any:
    """The newest workflow of an app."""
    return app.workflow_handles().handles[-1]


@pytest.mark.parametrize("plain", [False, True], ids=["async", "plain"])
@pytest.mark.parametrize(
    "raised", [ValueError("no"), SystemExit("no"), Oddity("no"), asyncio.CancelledError("no")]
)
async def test_an_activity_fails_with_whatever_it_raises(
    raised: BaseException, *, plain: bool
) -> None:
    """The workflow catches it as a failure with its class and text; the app goes on."""
    kind = type(raised).__name__
    app = app_of(raised, plain=plain)
    async with TestSidecar(app) as dapr:
        found = await (await dapr.start(flow_of(app))).result()
    assert found == [kind, "no", "", f"activity 'fail' failed: {kind}: no"]


async def test_causes_come_along() -> None:
    """What an exception was raised from is the failure's cause."""
    error = ValueError("no money")
    error.__cause__ = KeyError("card")
    app = app_of(error)
    async with TestSidecar(app) as dapr:
        found = await (await dapr.start(flow_of(app))).result()
    assert found[:3] == ["ValueError", "no money", "KeyError"]


async def test_an_interceptor_that_raises_fails_the_activity() -> None:
    """An activity whose interceptor raises, or refuses, has failed; nothing waits for ever."""

    async def raises(delivery: Delivery, call: Next) -> Outcome:
        if delivery.kind == "activity":
            raise PermissionError("not you")
        return await call(delivery)

    async def refuses(delivery: Delivery, call: Next) -> Outcome:
        return Outcome(http_status=403) if delivery.kind == "activity" else await call(delivery)

    texts = []
    for interceptor in (raises, refuses):
        app = DaprFlow("guarded", interceptors=[interceptor])

        @app.activity
        async def work() -> int:
            return 1

        app.workflow(name="flow")(_calls(work))
        async with TestSidecar(app) as dapr:
            with pytest.raises(WorkflowFailed) as caught:
                await (await dapr.start(flow_of(app))).result()
            texts.append(str(caught.value))
    assert "PermissionError: not you" in texts[0]
    assert "an interceptor answered 403" in texts[1]


async def test_what_is_no_handle_cannot_be_called() -> None:
    """A function that is no activity is refused where it is called, with what to give."""
    app = DaprFlow("mistaken")

    async def undecorated(_: int) -> int:
        return 1

    @app.workflow
    async def flow(ctx: WorkflowContext) -> None:
        await ctx.call(undecorated, 1)  # type: ignore[call-overload]  # that is the test

    async with TestSidecar(app) as dapr:
        with pytest.raises(WorkflowFailed, match=r"of type 'function'.* '@app.activity' or"):
            await (await dapr.start(flow)).result()


def _calls(activity: Activity[None, int]) -> Any:
    async def flow(ctx: WorkflowContext) -> int:
        return await ctx.call(activity)

    return flow


async def test_what_does_not_fit_is_told() -> None:
    """An input, an event or a result that is not of its type fails the instance, and says what."""
    app = DaprFlow("misfits")

    @app.workflow
    async def takes(ctx: WorkflowContext, order: Order) -> str:
        return f"{ctx.id} {order.id}"

    @app.workflow
    async def waits(ctx: WorkflowContext) -> str:
        return (await ctx.wait(order_event)).id

    async with TestSidecar(app) as dapr:
        wrong: Any = {"id": 5}
        run = await dapr.start(takes, wrong)
        with pytest.raises(WorkflowFailed, match=r"input of workflow 'takes'.*'Order'.*\$\.id"):
            await run.result()
        missing: Any = None
        with pytest.raises(WorkflowFailed, match=r"input of workflow 'takes'.* is missing"):
            await (await dapr.start(takes, missing)).result()
        waiting = await dapr.start(waits)
        await waiting.send(order_event, wrong)
        with pytest.raises(WorkflowFailed, match="event 'order', a 'Order', does not fit"):
            await waiting.result()
        with pytest.raises(TypeError, match="input of workflow 'takes' is of type 'object'"):
            await dapr.start(takes, object())  # type: ignore[misc]  # that is the test


async def test_what_cannot_be_kept_fails_the_instance() -> None:
    """A result without a JSON form fails its activity, or its workflow, and names its type."""
    app = DaprFlow("unkept")

    @app.activity
    async def makes() -> Any:
        return object()

    @app.workflow
    async def calls(ctx: WorkflowContext) -> None:
        await ctx.call(makes)

    @app.workflow
    async def returns(_: WorkflowContext) -> Any:
        return {"deep": [object()]}

    async with TestSidecar(app) as dapr:
        for flow, told in ((calls, "activity 'makes'"), (returns, "workflow 'returns'")):
            with pytest.raises(WorkflowFailed, match=f"the result of {told}.*'object'"):
                await (await dapr.start(flow)).result()


async def test_retries_choose_errors() -> None:
    """A retried call is tried again for the errors that its policy names, and no others."""
    app = DaprFlow("retrying")
    tries: list[str] = []

    @app.activity
    async def fails(kind: str) -> None:
        tries.append(kind)
        raise {"lookup": LookupError, "value": ValueError}[kind](kind)

    @app.workflow
    async def flow(ctx: WorkflowContext, kind: str) -> None:
        policy = RetryPolicy(attempts=3, only=(LookupError,), jitter=0.5)
        await ctx.call(fails, kind, retry=policy)

    async with TestSidecar(app) as dapr:
        for kind in ("lookup", "value"):
            run = await dapr.start(flow, kind)
            await dapr.advance(RetryPolicy().first * 3)
            with pytest.raises(WorkflowFailed, match=kind):
                await run.result()
    assert tries == ["lookup"] * 3 + ["value"]


async def test_the_logger_is_silent_while_replaying(caplog: pytest.LogCaptureFixture) -> None:
    """What a workflow logs is logged once, with the instance's id, however often it is replayed."""
    app = DaprFlow("logging")

    @app.activity
    async def work() -> None:
        """Do nothing."""

    @app.workflow
    async def flow(ctx: WorkflowContext) -> None:
        for step in range(3):
            ctx.logger.info("step %d", step)
            await ctx.call(work)

    with caplog.at_level(logging.INFO, logger=__name__):
        async with TestSidecar(app) as dapr:
            await (await dapr.start(flow, id="l1")).result()
    mine = [each for each in caplog.records if each.name == __name__]
    assert [each.getMessage() for each in mine] == ["step 0", "step 1", "step 2"]
    assert {vars(each)["workflow_id"] for each in mine} == {"l1"}
