"""`TestSidecar`, as the tests of an app use it."""

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request

from daprflow.addresses import Endpoint, Topic
from daprflow.app import DaprFlow
from daprflow.client import Client
from daprflow.errors import (
    AppDefinitionError,
    DaprFlowError,
    Drop,
    InvocationError,
    NotFound,
    SecretNotFound,
    SidecarError,
)
from daprflow.handlers.envelopes import Batch, BindingEvent
from daprflow.protocol.deliveries import Status
from daprflow.settings import Settings
from daprflow.testing import TestSidecar


class Order(msgspec.Struct):
    """A payload."""

    id: str
    total: int = 1


orders = Topic("pubsub", "orders", Order)
receipts = Topic("pubsub", "receipts", str)
lost = Topic("pubsub", "lost", Order)
price = Endpoint("pricing", "price", Order, int)
SECOND = timedelta(seconds=1)


@pytest.fixture
def app() -> DaprFlow:
    """An app without handlers."""
    return DaprFlow("shop", settings=Settings())


# ---- publishing -------------------------------------------------------------------------------


async def test_publish_gives_the_verdict_of_the_handler(app: DaprFlow) -> None:
    """Done, dropped, and failed events are told apart."""

    @app.topic(orders, dead_letter="lost")
    async def on_order(order: Order) -> Status | None:
        if order.total < 0:
            raise Drop("negative")
        if order.total == 0:
            raise ValueError("nothing")
        return None

    async with TestSidecar(app) as dapr:
        assert await dapr.publish(orders, Order("1", 5)) is Status.SUCCESS
        assert await dapr.publish(orders, Order("2", -5)) is Status.DROP
        assert await dapr.publish(orders, Order("3", 0)) is Status.RETRY
        assert dapr.published(orders) == [Order("1", 5), Order("2", -5), Order("3", 0)]
        assert dapr.published(lost) == [Order("2", -5)]


async def test_a_failed_event_comes_again_as_time_passes(app: DaprFlow) -> None:
    """Redelivery happens on the virtual clock, and the verdict stays that of the first attempt."""
    attempts = []

    @app.topic(orders)
    async def on_order(order: Order) -> Status:
        attempts.append(order.id)
        return Status.RETRY if len(attempts) < 3 else Status.SUCCESS

    async with TestSidecar(app) as dapr:
        assert await dapr.publish(orders, Order("1")) is Status.RETRY
        assert attempts == ["1"]
        await dapr.advance(timedelta(milliseconds=500))
        assert attempts == ["1", "1"]
        await dapr.advance(timedelta(hours=1))
        assert attempts == ["1", "1", "1"]


async def test_a_hopeless_event_ends_as_a_dead_letter(app: DaprFlow) -> None:
    """After ten attempts the event goes to the topic for it, and stays readable."""
    attempts = []

    @app.topic(orders, dead_letter="lost")
    async def on_order(order: Order) -> Status:
        attempts.append(order.id)
        return Status.RETRY

    async with TestSidecar(app) as dapr:
        await dapr.publish(orders, Order("1"))
        await dapr.advance(timedelta(hours=1))
        assert len(attempts) == 10
        assert dapr.published(lost) == [Order("1")]


async def test_what_follows_from_an_event_is_done(app: DaprFlow) -> None:
    """A chain of handlers has ended when publish returns."""
    seen = []

    @app.topic(orders)
    async def on_order(order: Order, *, client: Client) -> None:
        await client.publish(receipts, f"receipt {order.id}")

    @app.topic(receipts)
    async def on_receipt(receipt: str) -> None:
        await asyncio.sleep(0.01)
        seen.append(receipt)

    async with TestSidecar(app) as dapr:
        assert await dapr.publish(orders, Order("1")) is Status.SUCCESS
        assert seen == ["receipt 1"]
        assert dapr.published(receipts) == ["receipt 1"]


async def test_the_verdict_is_that_of_the_published_event(app: DaprFlow) -> None:
    """A handler that publishes on its own topic does not confuse its test."""

    @app.topic(orders)
    async def on_order(order: Order, *, client: Client) -> Status:
        if order.total:
            await client.publish(orders, Order(order.id, order.total - 1))
            return Status.SUCCESS
        return Status.DROP

    async with TestSidecar(app) as dapr:
        assert await dapr.publish(orders, Order("1", 2)) is Status.SUCCESS
        assert [order.total for order in dapr.published(orders)] == [2, 1, 0]


async def test_events_published_together_keep_their_verdicts(app: DaprFlow) -> None:
    """Concurrent publishes each get their own answer."""

    @app.topic(orders)
    async def on_order(order: Order) -> Status:
        await asyncio.sleep(0.001 * order.total)
        return Status.DROP if order.total % 2 else Status.SUCCESS

    async with TestSidecar(app) as dapr:
        verdicts = await asyncio.gather(*(dapr.publish(orders, Order("x", n)) for n in range(6)))

    assert verdicts == [Status.SUCCESS, Status.DROP] * 3


async def test_a_batch_is_waited_for(app: DaprFlow) -> None:
    """A bulk subscription gathers for a second of virtual time, which publish lets pass."""
    sizes = []

    @app.topic(orders, max_messages=10, max_wait=timedelta(seconds=30))
    async def on_orders(batch: Batch[Order]) -> None:
        sizes.append(len(batch))
        for entry in batch:
            if entry.data.total < 0:
                entry.drop()

    async with TestSidecar(app) as dapr:
        verdicts = await asyncio.gather(
            dapr.publish(orders, Order("1")), dapr.publish(orders, Order("2", -1))
        )

    assert list(verdicts) == [Status.SUCCESS, Status.DROP]
    assert sizes == [2]


async def test_nobody_subscribed_is_said(app: DaprFlow) -> None:
    """A verdict needs a handler; the error names what there is and another way."""

    @app.topic(orders)
    async def on_order(order: Order) -> None: ...

    async with TestSidecar(app) as dapr:
        with pytest.raises(LookupError, match="does not subscribe to 'pubsub/receipts'") as caught:
            await dapr.publish(receipts, "x")
        assert "'pubsub/orders'" in str(caught.value)

        await dapr.client.publish(receipts, "y")
        assert dapr.published(receipts) == ["x", "y"]


async def test_nothing_published_is_an_empty_list(app: DaprFlow) -> None:
    """A topic nobody used is no error."""
    async with TestSidecar(app) as dapr:
        assert dapr.published(receipts) == []


async def test_a_foreign_payload_fails_the_test(app: DaprFlow) -> None:
    """Something of another type on a topic is a finding, not an exception to handle."""
    async with TestSidecar(app) as dapr:
        await dapr.client.publish("pubsub", "orders", {"id": 7})

        with pytest.raises(AssertionError, match=r"Topic\('pubsub', 'orders', Order\)"):
            dapr.published(orders)


async def test_raw_payloads_are_published_as_they_are(app: DaprFlow) -> None:
    """Without an envelope, the data is the message."""
    async with TestSidecar(app) as dapr:
        await dapr.client.publish(orders, Order("1"), metadata={"rawPayload": "true"})

        assert dapr.published(orders) == [Order("1")]


async def test_a_slow_sync_handler_is_waited_for(app: DaprFlow) -> None:
    """A plain function runs in a thread, and counts as work there."""
    seen = []

    @app.topic(orders)
    def on_order(order: Order) -> None:
        seen.append(sum(range(200_000)))

    async with TestSidecar(app) as dapr:
        assert await dapr.publish(orders, Order("1")) is Status.SUCCESS

    assert len(seen) == 1


# ---- invoking, fakes --------------------------------------------------------------------------


async def test_a_method_is_invoked_through_the_sidecar(app: DaprFlow) -> None:
    """Payload and answer are typed, and what follows is done."""

    @app.invoke
    async def quote(order: Order, *, client: Client) -> int:
        await client.publish(receipts, order.id)
        return order.total * 2

    @app.invoke
    async def total() -> int:
        return 7

    async with TestSidecar(app) as dapr:
        assert await dapr.invoke(quote, Order("1", 5)) == 10
        assert await dapr.invoke(total) == 7
        assert await dapr.invoke(total, None) == 7
        assert dapr.published(receipts) == ["1"]


async def test_text_answers_round_trip(app: DaprFlow) -> None:
    """Text goes to a method and back unchanged, whatever it looks like."""

    @app.invoke
    async def echo(text: str) -> str:
        return text

    async with TestSidecar(app) as dapr:
        for text in ("hé", '"quoted"', "7", ""):
            assert await dapr.invoke(echo, text) == text


async def test_another_teams_endpoint_is_faked(app: DaprFlow) -> None:
    """The app calls a function of the test, through the sidecar."""
    asked = []

    @app.invoke
    async def quote(order: Order, *, client: Client) -> int:
        return await client.invoke(price, order)

    async def cheap(order: Order) -> int:
        asked.append(order)
        return 3

    sidecar = TestSidecar(app)
    sidecar.fake(price, cheap)
    async with sidecar as dapr:
        assert await dapr.invoke(quote, Order("1")) == 3

        async def dear(order: Order) -> int:
            return 300

        dapr.fake(price, dear)
        assert await dapr.invoke(quote, Order("2")) == 300

    assert asked == [Order("1")]


async def test_a_fake_may_take_nothing_and_give_anything(app: DaprFlow) -> None:
    """Endpoints without payload, text, bytes and nothing work as real ones."""
    ping: Endpoint[None, str] = Endpoint("other", "v1/ping", type(None), str)
    data: Endpoint[None, bytes] = Endpoint("other", "data", type(None), bytes)
    note: Endpoint[str, None] = Endpoint("other", "note", str, type(None))
    notes = []

    async def pong() -> str:
        return "pong"

    async def zero() -> bytes:
        return b"\x00"

    async def keep(text: str) -> None:
        notes.append(text)

    async with TestSidecar(app) as dapr:
        dapr.fake(ping, pong)
        dapr.fake(data, zero)
        dapr.fake(note, keep)

        assert await dapr.client.invoke(ping) == "pong"
        assert await dapr.client.invoke(data) == b"\x00"
        await dapr.client.invoke(note, "hé")

    assert notes == ["hé"]


async def test_a_fake_may_fail(app: DaprFlow) -> None:
    """An HTTPException is that status; another error is a 500; a wrong payload a 400."""

    async def refuse(order: Order) -> int:
        raise HTTPException(409, "taken")

    async def fail(order: Order) -> int:
        raise ValueError("private")

    statuses = []
    async with TestSidecar(app) as dapr:
        for function in (refuse, fail):
            dapr.fake(price, function)
            with pytest.raises(InvocationError) as caught:
                await dapr.client.invoke(price, Order("1"))
            statuses.append(caught.value.status)
            assert b"private" not in caught.value.body
        for other in (Endpoint("pricing", "price", str, int), Endpoint("pricing", "x", str, int)):
            with pytest.raises(InvocationError) as caught:
                await dapr.client.invoke(other, "x")
            statuses.append(caught.value.status)

    assert statuses == [409, 500, 400, 404]


async def test_an_app_nobody_fakes_is_unknown(app: DaprFlow) -> None:
    """The sidecar says so, at once."""
    async with TestSidecar(app) as dapr:
        with pytest.raises(InvocationError) as caught:
            await dapr.client.invoke(price, Order("1"))

    assert caught.value.code == "ERR_DIRECT_INVOKE"


async def test_an_own_endpoint_is_not_faked(app: DaprFlow) -> None:
    """Faking what is under test would test nothing."""

    @app.invoke
    async def quote(order: Order) -> int:
        return 1

    async def never(order: Order) -> int:
        return 2

    with pytest.raises(ValueError, match="belongs to the app under test"):
        TestSidecar(app).fake(quote, never)


# ---- time, bindings ---------------------------------------------------------------------------


async def test_crons_fire_when_time_passes(app: DaprFlow) -> None:
    """Each due time is met once, in order, and never without `advance`."""
    ticks = []

    @app.cron("sweep", "@every 15m")
    async def sweep() -> None:
        ticks.append("sweep")

    @app.cron("nightly", "0 0 3 * * *")
    async def nightly() -> None:
        ticks.append("nightly")

    start = datetime(2026, 1, 1, 2, 20).astimezone()
    async with TestSidecar(app, start=start) as dapr:
        assert ticks == []
        await dapr.advance(timedelta(minutes=14))
        assert ticks == []
        await dapr.advance(timedelta(minutes=1))
        assert ticks == ["sweep"]
        await dapr.advance(timedelta(minutes=30))
        assert ticks == ["sweep", "sweep", "nightly", "sweep"]
        assert dapr.now == start + timedelta(minutes=45)


async def test_time_passes_step_by_step(app: DaprFlow) -> None:
    """What a tick causes is done before the next tick, at that tick's time."""
    dapr = TestSidecar(app, start=datetime(2026, 1, 1, tzinfo=UTC))
    seen = []

    @app.cron("tick", "@every 1s")
    async def tick(*, client: Client) -> None:
        seen.append(dapr.now.second)
        await client.publish(receipts, "tick")

    @app.topic(receipts)
    async def on_receipt(receipt: str) -> None:
        await asyncio.sleep(0)
        seen.append(dapr.now.second)

    async with dapr:
        await dapr.advance(timedelta(seconds=3))

    assert seen == [1, 1, 2, 2, 3, 3]


async def test_time_to_live_is_virtual(app: DaprFlow) -> None:
    """State expires when the test says so."""
    async with TestSidecar(app) as dapr:
        store = dapr.state("statestore")
        await store.set("k", 1, ttl=SECOND)
        item = await store.get("k", int)
        assert item is not None
        assert item.value == 1

        await dapr.advance(2 * SECOND)
        assert await store.get("k", int) is None


async def test_time_does_not_go_back(app: DaprFlow) -> None:
    """A negative step is refused."""
    async with TestSidecar(app) as dapr:
        with pytest.raises(ValueError, match="time cannot go back by 0:00:01"):
            await dapr.advance(-SECOND)


async def test_a_binding_is_triggered(app: DaprFlow) -> None:
    """Data and metadata reach the handler, and its failure is told."""
    seen: list[BindingEvent[Order]] = []

    @app.binding("orders-in")
    async def on_order(event: BindingEvent[Order]) -> None:
        if event.data.total < 0:
            raise ValueError
        seen.append(event)

    @app.cron("sweep", "@every 1h")
    async def sweep(*, client: Client) -> None:
        await client.publish(receipts, "swept")

    async with TestSidecar(app) as dapr:
        good = await dapr.trigger("orders-in", Order("1"), metadata={"Key": "k"})
        bad = await dapr.trigger("orders-in", b'{"id":"2","total":-1}')
        assert await dapr.trigger("sweep") is Status.SUCCESS
        assert dapr.published(receipts) == ["swept"]

    assert (good, bad) == (Status.SUCCESS, Status.RETRY)
    assert [event.data for event in seen] == [Order("1")]
    assert seen[0].metadata["key"] == "k"


async def test_an_unknown_binding_is_said(app: DaprFlow) -> None:
    """The error names the bindings there are."""

    @app.binding("orders-in")
    async def on_order(order: Order) -> None: ...

    async with TestSidecar(app) as dapr:
        with pytest.raises(LookupError, match="no handler of binding 'x'; it has 'orders-in'"):
            await dapr.trigger("x")


# ---- components -------------------------------------------------------------------------------


async def test_stores_and_brokers_exist_when_they_are_named(app: DaprFlow) -> None:
    """Whatever names an app uses, it gets them, and each is its own."""
    async with TestSidecar(app) as dapr:
        await dapr.state("one").set("k", 1)
        await dapr.state("one/two").set("k", 2)
        first, second = await dapr.state("one").get("k", int), await dapr.state("two").get("k", int)
        assert first is not None
        assert (first.value, second) == (1, None)

        await dapr.client.publish("elsewhere", "topic", "x")
        assert dapr.published(Topic("elsewhere", "topic", str)) == ["x"]


async def test_secrets_are_given_as_mappings(app: DaprFlow) -> None:
    """Providers find them at start; an unknown one, and an unknown store, are errors."""
    found = []

    class Db:
        """What a provider makes."""

    @app.provide
    async def db(client: Client) -> AsyncIterator[Db]:
        found.append(await client.secret("vault", "dsn"))
        yield Db()
        found.append("closed")

    async with TestSidecar(app, secrets={"vault": {"dsn": "x", "a:b": "y"}, "other": {}}) as dapr:
        assert found == ["x"]
        assert await dapr.client.secret("vault", "a:b") == "y"
        with pytest.raises(SecretNotFound):
            await dapr.client.secret("other", "dsn")
        with pytest.raises(NotFound):
            await dapr.client.secret("nowhere", "dsn")

    assert found == ["x", "closed"]


COMPONENT = """
apiVersion: dapr.io/v1alpha1
kind: Component
metadata:
  name: {name}
spec:
  type: {type}
  version: v1
  metadata: []
"""


async def test_component_files_say_what_there_is(app: DaprFlow, tmp_path: Path) -> None:
    """With a resources folder nothing is made up: a name that is not there is an error."""
    (tmp_path / "store.yaml").write_text(
        COMPONENT.format(name="store", type="state.in-memory"), encoding="utf-8"
    )

    async with TestSidecar(app, resources_path=tmp_path) as dapr:
        await dapr.state("store").set("k", 1)
        with pytest.raises(NotFound):
            await dapr.state("statestore").set("k", 1)
        with pytest.raises(SidecarError, match="ERR_PUBSUB_NOT_CONFIGURED"):
            await dapr.client.publish("pubsub", "t", 1)


async def test_a_file_can_replace_a_cron(app: DaprFlow, tmp_path: Path) -> None:
    """A component of a cron's name is taken instead of the decorator's schedule."""
    cron = COMPONENT.format(name="sweep", type="bindings.cron")
    schedule = "metadata: [{name: schedule, value: '@every 1m'}]"
    (tmp_path / "cron.yaml").write_text(cron.replace("metadata: []", schedule), encoding="utf-8")
    ticks = []

    @app.cron("sweep", "@every 1h")
    async def sweep() -> None:
        ticks.append(1)

    async with TestSidecar(app, resources_path=tmp_path) as dapr:
        await dapr.advance(timedelta(minutes=2))

    assert len(ticks) == 2


async def test_bad_component_files_are_listed(app: DaprFlow, tmp_path: Path) -> None:
    """What is wrong with a file is said before anything starts."""
    (tmp_path / "bad.yaml").write_text("kind: [", encoding="utf-8")

    with pytest.raises(DaprFlowError, match=r"bad\.yaml"):
        await TestSidecar(app, resources_path=tmp_path).__aenter__()


# ---- start and end ----------------------------------------------------------------------------


async def test_a_wrong_definition_surfaces_as_itself(app: DaprFlow) -> None:
    """The error is the one that `check` prints, and nothing stays behind."""

    class Db:
        """What nobody provides."""

    @app.topic(orders)
    async def on_order(order: Order, *, db: Db) -> None: ...

    with pytest.raises(AppDefinitionError, match="on_order"):
        await TestSidecar(app).__aenter__()


async def test_a_failing_provider_surfaces_as_itself(app: DaprFlow) -> None:
    """What a provider raises at start is what the test sees."""

    class Db:
        """What a provider makes."""

    @app.provide
    async def db() -> Db:
        raise ConnectionRefusedError("no database")

    before = app.client
    with pytest.raises(ConnectionRefusedError, match="no database"):
        await TestSidecar(app).__aenter__()
    assert app.client is before


async def test_an_app_can_be_tested_again_and_again(app: DaprFlow) -> None:
    """Each sidecar starts empty, and the app has its own client back after."""

    @app.topic(orders)
    async def on_order(order: Order, *, client: Client) -> None:
        await client.state("statestore").set("last", order.id)

    before = app.client
    for number in ("1", "2"):
        async with TestSidecar(app) as dapr:
            assert await dapr.state("statestore").get("last", str) is None
            await dapr.publish(orders, Order(number))
            assert len(dapr.published(orders)) == 1
    assert app.client is before


async def test_an_installed_app_is_tested_in_its_host(app: DaprFlow) -> None:
    """The host's lifespan, its state and ours are all there."""
    host = FastAPI(lifespan=lambda _: lifespan())
    seen: list[Any] = []

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[dict[str, str]]:
        seen.append("up")
        yield {"name": "host"}
        seen.append("down")

    @host.post("/own")
    async def own(request: Request) -> str:
        return str(request.state.name)

    @app.topic(orders)
    async def on_order(order: Order, *, request: Request) -> None:
        seen.append(request.state.name)

    app.install(host)
    async with TestSidecar(app, host=host) as dapr:
        assert await dapr.publish(orders, Order("1")) is Status.SUCCESS
        own_endpoint: Endpoint[None, str] = Endpoint("shop", "own", type(None), str)
        assert await dapr.client.invoke(own_endpoint) == "host"

    assert seen == ["up", "host", "down"]


async def test_a_wrapped_app_is_tested_in_its_host(app: DaprFlow) -> None:
    """Events reach our handlers, everything else the app inside."""
    site = FastAPI()

    @site.post("/own")
    async def own() -> str:
        return "site"

    @app.topic(orders)
    async def on_order(order: Order) -> None: ...

    async with TestSidecar(app, host=app.wrap(site)) as dapr:
        assert await dapr.publish(orders, Order("1")) is Status.SUCCESS
        own_endpoint: Endpoint[None, str] = Endpoint("shop", "own", type(None), str)
        assert await dapr.invoke(own_endpoint) == "site"


async def test_a_failed_call_is_waited_for_too(app: DaprFlow) -> None:
    """What a method did before it failed is done."""
    seen = []

    @app.invoke
    async def quote(order: Order, *, client: Client) -> int:
        await client.publish(receipts, order.id)
        raise HTTPException(409)

    @app.topic(receipts)
    async def on_receipt(receipt: str) -> None:
        await asyncio.sleep(0.005)
        seen.append(receipt)

    async with TestSidecar(app) as dapr:
        with pytest.raises(InvocationError):
            await dapr.invoke(quote, Order("1"))
        assert seen == ["1"]


async def test_crons_do_not_fire_while_a_batch_is_awaited(app: DaprFlow) -> None:
    """Publish lets no more time pass than the batch needs."""
    ticks = []

    @app.cron("tick", "@every 2s")
    async def tick() -> None:
        ticks.append(1)

    @app.topic(orders, max_messages=10)
    async def on_orders(batch: Batch[Order]) -> None: ...

    async with TestSidecar(app) as dapr:
        before = dapr.now
        assert await dapr.publish(orders, Order("1")) is Status.SUCCESS
        assert dapr.now - before <= timedelta(seconds=1.001)

    assert ticks == []


async def test_the_apps_token_is_known(app: DaprFlow) -> None:
    """An app that asks for a token gets it from its test sidecar."""
    guarded = DaprFlow("guarded", settings=Settings(app_api_token="secret"))

    @guarded.topic(orders)
    async def on_order(order: Order) -> None: ...

    async with TestSidecar(guarded) as dapr:
        assert await dapr.publish(orders, Order("1")) is Status.SUCCESS


async def test_outside_of_its_block_it_says_so(app: DaprFlow) -> None:
    """Before and after, there is nothing to talk to."""
    sidecar = TestSidecar(app)

    with pytest.raises(RuntimeError, match="use it inside 'async with'"):
        await sidecar.advance(SECOND)
    async with sidecar:
        with pytest.raises(RuntimeError, match="runs already"):
            await sidecar.__aenter__()
    with pytest.raises(RuntimeError, match="use it inside 'async with'"):
        _ = sidecar.client


async def test_nothing_is_left_behind(app: DaprFlow) -> None:
    """No task and no open client outlives the block, even when the test in it fails."""

    @app.topic(orders)
    async def on_order(order: Order) -> Status:
        return Status.RETRY

    @app.cron("sweep", "@every 1s")
    async def sweep() -> None: ...

    async def fail() -> None:
        async with TestSidecar(app) as dapr:
            await dapr.publish(orders, Order("1"))
            await dapr.client.publish(orders, Order("2"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    gc.collect()

    assert asyncio.all_tasks() == {asyncio.current_task()}
