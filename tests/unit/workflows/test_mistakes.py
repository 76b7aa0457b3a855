"""What is easily written wrong in a workflow is told in its line, with what to write."""

import subprocess
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from urllib.request import urlopen

import pytest

from daprflow import Activity, DaprFlow, ExternalEvent, RetryPolicy, WorkflowContext
from daprflow.protocol.workflow_actions import ScheduleTask
from daprflow.testing import TestSidecar
from tests.helpers.workflow_play import Play, failure_in

app = DaprFlow("mistakes")
approved = ExternalEvent("approved", bool)


@app.activity
async def charge(amount: int) -> int:
    return amount


@app.activity
def plain(amount: int) -> int:
    return amount


async def unawaited_condition(ctx: WorkflowContext) -> str:
    return "yes" if ctx.wait(approved) else "no"


async def unawaited_attribute(ctx: WorkflowContext) -> int:
    receipt: Any = ctx.call(charge, 1)
    paid: int = receipt.paid
    return paid


async def unawaited_result(ctx: WorkflowContext) -> object:
    return ctx.call(charge, 1)


async def unawaited_input(ctx: WorkflowContext) -> int:
    wrong: Any = ctx.call(charge, 1)
    return await ctx.call(charge, wrong)


async def called_directly(_: WorkflowContext) -> int:
    return await charge(1)


async def called_plainly(_: WorkflowContext) -> int:
    return plain(1)


async def sleeps_seconds(ctx: WorkflowContext) -> None:
    seconds: Any = 5
    await ctx.sleep(seconds)


async def waits_seconds(ctx: WorkflowContext) -> None:
    seconds: Any = 5
    await ctx.wait(approved, timeout=seconds)


async def waits_for_text(ctx: WorkflowContext) -> None:
    name: Any = "approved"
    await ctx.wait(name)


async def retries_thrice(ctx: WorkflowContext) -> None:
    times: Any = 3
    await ctx.call(charge, 1, retry=times)


async def asks_a_server(_: WorkflowContext) -> None:
    urlopen("http://127.0.0.1:1/")  # noqa: ASYNC210 - it is refused


async def runs_a_program(_: WorkflowContext) -> None:
    subprocess.run(["true"], check=True)  # noqa: ASYNC221 - it is refused


async def uses_a_pool(_: WorkflowContext) -> None:
    ThreadPoolExecutor(1).submit(print)


MISTAKES = {
    asks_a_server: "a workflow cannot use the network: ",
    runs_a_program: "a workflow cannot use processes: ",
    uses_a_pool: "a workflow cannot use threads: ",
    unawaited_condition: "event 'approved' is a task, which is no result; write 'await' before it",
    unawaited_attribute: "activity 'charge' is a task, which has no 'paid'; its result may: write",
    unawaited_result: "which cannot be kept: write 'await' before it",
    unawaited_input: "which cannot be kept: write 'await' before it",
    called_directly: "activity 'charge' as a function: it would be done again on replay; "
    "await ctx.call(charge, ...)",
    called_plainly: "await ctx.call(plain, ...)",
    sleeps_seconds: "a time to wait is of type 'int'; write timedelta(seconds=...)",
    waits_seconds: "timeout is of type 'int'; write timedelta(seconds=...)",
    waits_for_text: "ctx.wait() takes an event, not 'str'; write ExternalEvent(name, type)",
    retries_thrice: "retry is of type 'int'; write RetryPolicy(...)",
}

for each in MISTAKES:
    app.workflow(each)


@pytest.mark.parametrize("function", MISTAKES, ids=lambda each: str(each.__name__))
def test_it_is_told(function: Any) -> None:
    """The workflow fails, and the text says what to write."""
    with Play(app, keep=False) as play:
        failure = failure_in(play.run({}, play.start(function.__name__)))
    assert MISTAKES[function] in failure.message


async def test_an_activity_is_a_function_outside() -> None:
    """Tests, handlers and other activities call it as it was written."""
    assert await charge(3) == plain(3) == 3


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"first": 5}, "first is of type 'int'; write timedelta(seconds=...)"),
        ({"first": None}, "first is of type 'NoneType'"),
        ({"never": ValueError}, "never is no tuple; write never=(ValueError,)"),
        ({"only": "ValueError"}, "only is no tuple"),
    ],
)
def test_a_policy_says_what_it_takes(options: dict[str, Any], told: str) -> None:
    """Numbers for times, and one error for several, are refused where they are written."""
    with pytest.raises(TypeError) as caught:
        RetryPolicy(**options)
    assert told in str(caught.value)


def test_own_activities_are_of_this_app_whatever_its_id() -> None:
    """A runtime that knows the app under another id is asked for no app of the name in the code."""
    here, there = DaprFlow("shop"), DaprFlow("risk")

    @here.activity
    async def pack(_: int) -> None:
        """Do nothing."""

    @there.activity
    async def score(_: int) -> None:
        """Do nothing."""

    @here.workflow
    async def both(ctx: WorkflowContext) -> None:
        await ctx.gather(ctx.call(pack, 1), ctx.call(score, 1))

    assert both.app_id == "shop"
    with Play(here, keep=False) as play:  # there the app's id is "app"
        turn = play.start("both")
    assert [each.target for each in turn.actions if isinstance(each, ScheduleTask)] == ["", "risk"]


async def test_an_activity_imported_from_another_app_is_that_apps() -> None:
    """A handle that another app declares goes there, though that app never starts here."""
    here, there = DaprFlow("shop"), DaprFlow("risk")

    @there.activity
    async def score(amount: int) -> int:
        return amount

    @here.workflow
    async def rated(ctx: WorkflowContext) -> int:
        return await ctx.call(score, 7)

    async def fixed(amount: int) -> int:
        return amount * 2

    async with TestSidecar(here) as dapr:
        dapr.fake(Activity("risk", "score", int, int), fixed)
        run = await dapr.start(rated)
        await dapr.advance(timedelta(seconds=1))
        assert await run.result() == 14


async def test_an_app_that_does_not_run_is_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    """A call of an app that is not there is in the log, with its name; further ones are not."""
    here = DaprFlow("shop")

    @here.workflow
    async def rated(ctx: WorkflowContext) -> int:
        return await ctx.call(Activity("nowhere", "score", int, int), 7)

    with caplog.at_level("INFO", "daprflow.sidecar.workflows.hub"):
        async with TestSidecar(here) as dapr:
            await dapr.start(rated, id="r1")
            await dapr.start(rated, id="r2")
    told = "activity 'score' of workflow 'r1' waits for app 'nowhere', which does not run here"
    assert caplog.messages.count(told) == 1
    assert not any("'r2' waits" in each for each in caplog.messages)
