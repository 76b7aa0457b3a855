"""What workflows can say, each thing in an app under test that replays every turn."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from daprflow import (
    DaprFlow,
    ExternalEvent,
    RetryPolicy,
    SidecarError,
    Workflow,
    WorkflowContext,
    WorkflowFailed,
    WorkflowState,
)
from daprflow.testing import TestSidecar

number = ExternalEvent("number", int)
invoice = Workflow("billing", "invoice", int, str)
HOUR = timedelta(hours=1)


class Order(msgspec.Struct):
    id: str
    total: int


class Work:
    """What activities did."""

    def __init__(self) -> None:
        self.done: list[Any] = []


@pytest.fixture
def work() -> Work:
    return Work()


@pytest.fixture
def app(work: Work) -> DaprFlow:
    """An app with an activity that notes what it is given, and fails for what is negative."""
    app = DaprFlow("language")

    @app.activity
    async def note(number: int) -> int:
        work.done.append(number)
        if number < 0:
            raise ValueError("negative")
        return number

    return app


def noting(app: DaprFlow) -> Any:
    """Its activity."""
    return app.workflow_handles().handles[0]


async def test_a_map_has_a_limit(app: DaprFlow, work: Work) -> None:
    """Calls for many inputs run a few at a time; their results have the order of the inputs."""
    note = noting(app)

    @app.workflow
    async def mapped(ctx: WorkflowContext, count: int) -> list[int]:
        return await ctx.map(note, range(count), limit=3)

    async with TestSidecar(app) as dapr:
        assert await (await dapr.start(mapped, 10)).result() == list(range(10))
        assert await (await dapr.start(mapped, 0)).result() == []
    assert sorted(work.done) == list(range(10))


async def test_nothing_begins_after_an_error_in_a_map(app: DaprFlow, work: Work) -> None:
    """The first error of a map is raised, and inputs that had not begun stay out."""
    note = noting(app)

    @app.workflow
    async def mapped(ctx: WorkflowContext) -> list[int]:
        return await ctx.map(note, [1, -1, 2, 3, 4], limit=2)

    async with TestSidecar(app) as dapr:
        with pytest.raises(WorkflowFailed, match="negative"):
            await (await dapr.start(mapped)).result()
    assert not {3, 4} & set(work.done)


async def test_children_are_mapped(app: DaprFlow) -> None:
    """A map runs child workflows as it calls activities."""
    note = noting(app)

    @app.workflow
    async def twice(ctx: WorkflowContext, value: int) -> int:
        found: int = await ctx.call(note, value)
        return 2 * found

    @app.workflow
    async def mapped(ctx: WorkflowContext) -> list[int]:
        return await ctx.map(twice, (1, 2, 3), limit=2, retry=RetryPolicy(attempts=2))

    async with TestSidecar(app) as dapr:
        assert await (await dapr.start(mapped)).result() == [2, 4, 6]


@pytest.mark.parametrize(
    ("inputs", "limit", "told"),
    [({1, 2}, 1, "order of a set"), ([1], 0, "limit=0"), ([object()], 1, "type 'object'")],
)
async def test_maps_that_cannot_be(app: DaprFlow, inputs: Any, limit: int, told: str) -> None:
    """A set, no limit and an input without a JSON form fail where the map is asked for."""
    note = noting(app)

    @app.workflow
    async def mapped(ctx: WorkflowContext) -> None:
        _ = ctx.map(note, inputs, limit=limit)

    async with TestSidecar(app) as dapr:
        with pytest.raises(WorkflowFailed, match=told):
            await (await dapr.start(mapped)).result()


async def test_errors_can_be_gathered(app: DaprFlow, work: Work) -> None:
    """With return_exceptions, all are waited for, and errors stand where results would."""
    note = noting(app)

    @app.workflow
    async def gathers(ctx: WorkflowContext) -> list[str]:
        tasks = [ctx.call(note, value) for value in (1, -1, 2)]
        found = await ctx.gather(*tasks, return_exceptions=True)
        return [type(each).__name__ for each in found]

    async with TestSidecar(app) as dapr:
        assert await (await dapr.start(gathers)).result() == ["int", "ActivityFailed", "int"]
    assert sorted(work.done) == [-1, 1, 2]


async def test_a_wait_that_lost_leaves_events_to_others(app: DaprFlow) -> None:
    """An event goes to who waits, not to a wait that lost; awaited again, that waits, too."""

    @app.workflow
    async def races(ctx: WorkflowContext) -> list[int]:
        lost = ctx.wait(number)
        timer = ctx.sleep(HOUR)
        assert await ctx.race(lost, timer) is timer
        first = await ctx.wait(number)
        return [first, await lost]

    async with TestSidecar(app) as dapr:
        run = await dapr.start(races)
        await dapr.advance(2 * HOUR)
        await run.send(number, 1)
        await run.send(number, 2)
        assert await run.result() == [1, 2]


async def test_a_wait_that_lost_can_race_again(app: DaprFlow) -> None:
    """A wait is raced against one timer after the other, and takes an event that came between."""

    @app.workflow
    async def polls(ctx: WorkflowContext) -> str:
        event = ctx.wait(number)
        for hour in range(5):
            winner = await ctx.race(event, ctx.sleep(HOUR))
            if winner is event:
                return f"{await event} after {hour} h"
        return "never"

    async with TestSidecar(app) as dapr:
        run = await dapr.start(polls)
        await dapr.advance(2.5 * HOUR)
        await run.send(number, 7)
        assert await run.result() == "7 after 2 h"
        late = await dapr.start(polls)
        await dapr.advance(6 * HOUR)
        assert await late.result() == "never"


async def test_a_wait_without_time_takes_what_came(app: DaprFlow) -> None:
    """A timeout of nothing, or less, gives an event that came before, or else the default."""

    @app.workflow
    async def looks(ctx: WorkflowContext) -> list[int | None]:
        late = ctx.now - HOUR
        await ctx.sleep(HOUR)
        found = []
        for timeout in (timedelta(0), late - ctx.now, timedelta(0)):
            value = await ctx.wait(number, timeout=timeout, default=None)
            found.append(value)
        return found

    async with TestSidecar(app) as dapr:
        run = await dapr.start(looks)
        await run.send(number, 1)
        await run.send(number, 2)
        await dapr.advance(HOUR)
        assert await run.result() == [1, 2, None]


async def test_what_was_asked_for_last_begins(app: DaprFlow, work: Work) -> None:
    """A detached child, and a call that nobody awaits, begin though the workflow ends at once."""
    note = noting(app)

    @app.workflow
    async def child(ctx: WorkflowContext, value: int) -> int:
        return await ctx.call(note, value)

    @app.workflow
    async def parent(ctx: WorkflowContext) -> str:
        _ = ctx.call(note, 1)
        return ctx.start(child, 2, id="left-alone", detached=True)

    async with TestSidecar(app) as dapr:
        run = await dapr.start(parent)
        assert await run.result() == "left-alone"
        assert await dapr.client.workflow(child, "left-alone").result() == 2
    assert sorted(work.done) == [1, 2]


async def test_what_was_asked_for_before_a_restart_begins(app: DaprFlow, work: Work) -> None:
    """A workflow that begins anew loses no call and no child, and no event that comes meanwhile."""
    note = noting(app)

    @app.workflow
    async def child(ctx: WorkflowContext, value: int) -> int:
        return await ctx.call(note, value)

    @app.workflow
    async def loops(ctx: WorkflowContext, turn: int) -> int:
        if value := await ctx.wait(number):
            ctx.start(child, 10 * value, detached=True)
            _ = ctx.call(note, value)
            ctx.restart(turn + 1)
        return turn

    async with TestSidecar(app) as dapr:
        run = await dapr.start(loops, 0)
        for value in (1, 2, 3, 0):
            await run.send(number, value)
        await dapr.advance(timedelta(seconds=1))
        assert await run.result() == 3
    assert sorted(work.done) == [1, 2, 3, 10, 20, 30]


async def test_a_workflow_starts_itself(app: DaprFlow) -> None:
    """A workflow may be its own child."""

    @app.workflow
    async def total(ctx: WorkflowContext, value: int) -> int:
        return value + await ctx.start(total, value - 1) if value else 0

    async with TestSidecar(app) as dapr:
        assert await (await dapr.start(total, 4)).result() == 10


async def test_workflows_of_other_apps_are_faked(app: DaprFlow) -> None:
    """A child workflow of another app is a function of the test, failures included."""

    @app.workflow
    async def bills(ctx: WorkflowContext, value: int) -> str:
        return await ctx.start(invoice, value)

    async def answer(value: int) -> str:
        if value < 0:
            raise ValueError("nothing to bill")
        return f"bill of {value}"

    async with TestSidecar(app) as dapr:
        dapr.fake(invoice, answer)
        assert await (await dapr.start(bills, 5)).result() == "bill of 5"
        failed = await dapr.start(bills, -5)
        with pytest.raises(WorkflowFailed, match=r"workflow 'invoice' .* ValueError: nothing"):
            await failed.result()
        with pytest.raises(ValueError, match="belongs to the app under test"):
            dapr.fake(bills, answer)


async def test_a_missing_fake_is_told() -> None:
    """A child that no fake answers fails, and the text names the fakes that there are."""
    app = DaprFlow("language")
    other = Workflow("billing", "other", int, str)

    @app.workflow
    async def bills(ctx: WorkflowContext) -> str:
        return await ctx.start(other, 1)

    async def answer(value: int) -> str:
        return str(value)

    async with TestSidecar(app) as dapr:
        dapr.fake(invoice, answer)
        with pytest.raises(WorkflowFailed, match="fakes of 'invoice'"):
            await (await dapr.start(bills)).result()


async def test_starts_are_scheduled_on_the_clock_of_the_test(app: DaprFlow) -> None:
    """A start in an hour counts from the virtual clock; until then the instance is pending."""

    @app.workflow
    async def later(ctx: WorkflowContext) -> str:
        return ctx.now.isoformat(timespec="minutes")

    async with TestSidecar(app) as dapr:
        await dapr.advance(timedelta(days=400))
        run = await dapr.client.start(later, at=HOUR)
        due = dapr.now + HOUR
        at = await dapr.client.start(later, at=due + HOUR)
        await dapr.advance(HOUR / 2)
        assert (await run.status()).state is WorkflowState.PENDING
        await dapr.advance(HOUR)
        assert await run.result() == due.isoformat(timespec="minutes")
        assert (await at.status()).state is WorkflowState.PENDING


async def test_a_start_can_attach(app: DaprFlow, work: Work) -> None:
    """A start that attaches starts what is not there, and returns what is, running or ended."""
    note = noting(app)

    @app.workflow
    async def once(ctx: WorkflowContext, value: int) -> int:
        await ctx.call(note, value)
        return await ctx.wait(number)

    async with TestSidecar(app) as dapr:
        client = dapr.client
        first = await client.start(once, 1, id="e1", attach=True)
        again = await client.start(once, 2, id="e1", attach=True)
        with pytest.raises(SidecarError) as caught:
            await client.start(once, 3, id="e1")
        await first.send(number, 5)
        assert await again.result() == 5
        assert await (await client.start(once, 4, id="e1", attach=True)).result() == 5
        with pytest.raises(SidecarError, match="already exists"):
            await client.start(once, 4, id="e1", reuse=False)
        assert (await (await client.start(once, 6, id="e1")).status()).input == 6
    assert (caught.value.status, work.done[0]) == (409, 1)


async def test_replaced_versions_begin_nothing(app: DaprFlow) -> None:
    """The runtime starts the default version alone, so that starting another one is refused."""

    @app.workflow(name="flow", version="1")
    async def first(ctx: WorkflowContext) -> str:
        return ctx.version

    @app.workflow(name="flow", version="2", default=True)
    async def second(ctx: WorkflowContext) -> str:
        return ctx.version

    @app.workflow
    async def parent(ctx: WorkflowContext) -> str:
        return await ctx.start(first)

    async with TestSidecar(app) as dapr:
        run = await dapr.start(second)
        assert await run.result() == "2"
        assert (await run.status()).version == "2"
        with pytest.raises(ValueError, match="'1' of workflow 'flow' begins no new instances"):
            await dapr.start(first)
        with pytest.raises(WorkflowFailed, match="begins no new instances"):
            await (await dapr.start(parent)).result()


async def test_a_status_tells_everything(app: DaprFlow) -> None:
    """The status has input and output in their types, the custom status, and the failure."""
    note = noting(app)

    @app.workflow
    async def flow(ctx: WorkflowContext, order: Order) -> Order:
        ctx.status(order)
        await ctx.call(note, order.total)
        return Order(order.id, order.total * 2)

    async with TestSidecar(app) as dapr:
        good = await (await dapr.start(flow, Order("o1", 5))).status()
        bad = await (await dapr.start(flow, Order("o2", -5))).status()
    assert (good.input, good.output) == (Order("o1", 5), Order("o1", 10))
    assert good.custom_status == '{"id":"o1","total":5}'
    assert good.custom_status_as(Order) == Order("o1", 5)
    assert (good.custom_status_as(str), bad.ended) == (good.custom_status, True)
    with pytest.raises(ValueError, match="the custom status, a 'int', does not fit"):
        good.custom_status_as(int)
    assert good.completed is not None
    assert bad.state is WorkflowState.FAILED
    assert bad.failure is not None
    assert bad.failure.cause is not None
    assert (bad.output, bad.failure.cause.type) == (None, "ValueError")
