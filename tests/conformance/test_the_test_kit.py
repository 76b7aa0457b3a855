"""One file of a user's tests, against the embedded engine and, with --dapr-runtime, a real one."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from daprflow import Client, DaprFlow, Drop, Status, WorkflowContext
from daprflow.settings import Settings
from daprflow.testing import TestSidecar
from tests.helpers.small_shop import Counter, Order, orders, price, receipts

app = DaprFlow("shop", settings=Settings())
app.actor(Counter)


@pytest.fixture
def dapr_app(request: pytest.FixtureRequest) -> DaprFlow:
    """The app that a marker names, else one that uses several building blocks."""
    named = [each.args[0] for each in request.node.iter_markers("dapr") if each.args]
    return named[0] if named else app


@app.topic(orders, dead_letter="dead")
async def on_order(order: Order, *, client: Client) -> None:
    if order.id == "bad":
        raise Drop("bad")
    await client.state("statestore").set(order.id, await client.invoke(price, order))
    await client.publish(receipts, order)


@app.activity
async def charge(amount: int) -> int:
    return amount + 1


@app.workflow
async def later(ctx: WorkflowContext, amount: int) -> int:
    await ctx.sleep(timedelta(seconds=1))
    return await ctx.call(charge, amount)


async def test_events_state_and_fakes(dapr: TestSidecar) -> None:
    """Verdicts, what was saved and what was published are the same on both."""

    async def cheap(order: Order) -> int:
        return 3

    dapr.fake(price, cheap)
    assert await dapr.publish(orders, Order("a")) is Status.SUCCESS
    assert await dapr.publish(orders, Order("bad")) is Status.DROP
    assert await dapr.saved("statestore", int) == {"a": 3}
    assert dapr.published(receipts) == [Order("a")]


@pytest.mark.dapr(secrets={"vault": {"key": "x"}})
async def test_actors_and_secrets(dapr: TestSidecar) -> None:
    """Actors keep their state, and secrets come from a dict."""
    counter = dapr.actor(Counter, "a")
    assert [await counter.add(2), await counter.add(3)] == [2, 5]
    assert await dapr.client.secret("vault", "key") == "x"


async def test_workflows_end(dapr: TestSidecar) -> None:
    """A result is there when the test asks for it, with a timer on the way."""
    run = await dapr.start(later, 1)
    await dapr.advance(timedelta(seconds=2))
    assert await run.result() == 2


class Dsn(str):
    __slots__ = ()


asking = DaprFlow("asking", settings=Settings())


@asking.provide
async def dsn(client: Client) -> AsyncIterator[Dsn]:
    yield Dsn(await client.secret("vault", "dsn"))


@asking.topic(orders)
async def on_order_with_dsn(order: Order, *, dsn: Dsn, client: Client) -> None:
    await client.state("statestore").set(order.id, str(dsn))


@pytest.mark.dapr(asking, secrets={"vault": {"dsn": "x"}})
async def test_an_app_that_asks_for_something_while_it_starts(dapr: TestSidecar) -> None:
    """Its runtime reads the subscriptions once, and gets them."""
    assert await dapr.publish(orders, Order("a")) is Status.SUCCESS
    assert await dapr.saved("statestore", str) == {"a": "x"}
