"""Uses of the public API that mypy accepts in strict mode, with the types they must have."""

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Annotated, Any, assert_type

import grpc
import msgspec
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request

from daprflow import (
    Activity,
    Actor,
    ActorDefaults,
    ActorInterface,
    Batch,
    BindingEvent,
    Client,
    CloudEvent,
    Codecs,
    ConfigItem,
    ConstantFailurePolicy,
    ContentCodec,
    DaprFlow,
    Delivery,
    Drop,
    DropFailurePolicy,
    Endpoint,
    ExternalEvent,
    Header,
    Item,
    Job,
    JsonCodec,
    Next,
    Outcome,
    Part,
    Path,
    Query,
    RetryPolicy,
    Router,
    ScheduledJob,
    Status,
    SyncClient,
    Task,
    Topic,
    Workflow,
    WorkflowContext,
    actor_method,
)
from daprflow.client import (
    EQ,
    GT,
    Delete,
    EventMessage,
    HeldLock,
    Items,
    Page,
    RawActor,
    Records,
    Subscription,
    Upsert,
    ascending,
)
from daprflow.health import HealthChange, HealthReport, HealthSettings, HealthStatus, PartHealth
from daprflow.testing import TestSidecar


class Order(msgspec.Struct):
    id: str
    total: int


class Receipt(msgspec.Struct):
    order_id: str


class Text(msgspec.Struct):
    text: str


class Database:
    async def save(self, order: Order) -> None: ...


class Clock:
    """Something a plain function makes."""


orders = Topic("pubsub", "orders", Order)
receipts = Topic("pubsub", "receipts", Receipt)
price = Endpoint("pricing", "price", Order, int)
assert_type(orders, Topic[Order])
assert_type(price, Endpoint[Order, int])


async def timing(delivery: Delivery, call: Next) -> Outcome:
    return await call(delivery)


app = DaprFlow("shop", middleware=[Middleware(GZipMiddleware)], interceptors=[timing])
router = Router()
app.include(router)


@app.provide
async def database(client: Client) -> AsyncIterator[Database]:
    await client.secret("vault", "dsn")
    yield Database()


@app.provide(scope="call")
def clock() -> Iterator[Clock]:
    yield Clock()


assert_type(clock(), Iterator[Clock])


@app.topic(orders)
async def on_order(order: Order, *, database: Database) -> None:
    if order.total < 0:
        raise Drop("negative total")
    await database.save(order)


@app.topic(orders, match='event.type == "order.vip"', dead_letter="orders-dead")
async def on_vip(event: CloudEvent[Order]) -> Status | None:
    return Status.RETRY if event.data.total > 9000 else None


@app.topic(Topic("pubsub", "metrics", Text), max_messages=200, max_wait=timedelta(seconds=1))
async def on_metrics(batch: Batch[Text]) -> None:
    for entry in batch:
        assert_type(entry.data, Text)
        if not entry.data.text:
            entry.drop()


@app.topic(Topic("pubsub", "letters", Text))
async def on_letter(letter: bytes, *, client: Client) -> None: ...


@app.topic(Topic("pubsub", "notes", Text))
def on_note(note: str) -> Status | None:
    return None


@router.topic("pubsub", "anything", raw=True, metadata={"consumerID": "x"})
def on_anything(data: bytes) -> Status:
    return Status.SUCCESS


assert_type(on_anything(b""), Status)


@app.binding("sms-in")
async def on_sms(event: BindingEvent[Text]) -> None:
    assert_type(event.data, Text)


@app.cron("sweep", "@every 15m")
async def sweep(*, client: Client) -> None: ...


@app.invoke
async def quote(order: Order, *, client: Client) -> int:
    return await client.invoke(price, order)


@app.invoke
def total(*, client: Client, request: Request) -> int:
    return 0


@app.invoke
def plain(order: Order) -> Receipt:
    return Receipt(order.id)


@app.invoke(name="list-orders")
async def listed(order: Order) -> list[Order]:
    return [order]


assert_type(quote, Endpoint[Order, int])
assert_type(total, Endpoint[None, int])
assert_type(plain, Endpoint[Order, Receipt])
assert_type(listed, Endpoint[Order, list[Order]])


@app.invoke("GET", "/orders/{order_id}")
async def get_order(*, order_id: str, page: Annotated[int, Query()] = 1, client: Client) -> Order:
    return Order(order_id, page)


@app.invoke("PUT", "/orders/{order_id}", status=201)
def put_order(order: Order, *, order_id: str, tenant: Annotated[str, Header()] = "") -> Receipt:
    return Receipt(order.id)


class Search(msgspec.Struct):
    order_id: Annotated[str, Path()]
    page: Annotated[int, Query()] = 1


@router.invoke("GET", "/search/{order_id}")
async def search(asked: Search) -> list[Order]:
    return []


@app.invoke("DELETE", "/orders/{order_id}")
async def delete_order(*, order_id: str) -> None: ...


remote_order = Endpoint("orders", "GET /orders/{order_id}", None, Order)
remote_search = Endpoint("orders", "GET /search/{order_id}", Search, list[Order])
remote_delete = Endpoint("orders", "DELETE /orders/{order_id}", None, None)
assert_type(get_order, Endpoint[None, Order])
assert_type(put_order, Endpoint[Order, Receipt])
assert_type(search, Endpoint[Search, list[Order]])
assert_type(delete_order, Endpoint[None, None])
assert_type(remote_order, Endpoint[None, Order])
assert_type(remote_search, Endpoint[Search, list[Order]])
assert_type(remote_delete, Endpoint[None, None])


class Money:
    @classmethod
    def parse(cls, text: str) -> "Money":
        return cls()


def read_text(body: bytes, wanted: type[Text]) -> Text:
    return wanted(body.decode())


codecs = Codecs(
    JsonCodec(Money, encode=str, decode=Money.parse),
    ContentCodec("text/x-text", Text, encode=lambda each: each.text, decode=read_text),
)
coded = DaprFlow("coded", codecs=codecs)


async def calls_with_parameters(client: Client, dapr: TestSidecar) -> None:
    assert_type(await client.invoke(get_order, order_id="7", page=2), Order)
    assert_type(await client.invoke(put_order, Order("7", 1), order_id="7"), Receipt)
    assert_type(await client.invoke(search, Search("7", page=2)), list[Order])
    assert_type(await dapr.invoke(remote_search, Search("7")), list[Order])
    assert_type(await dapr.invoke(remote_order, order_id="7"), Order)
    await client.invoke(remote_delete, order_id="7")
    async with Client(codecs=codecs):
        pass


@app.job("report", schedule="0 0 3 * * *", data=Text("x"), failure_policy=DropFailurePolicy())
async def on_report(text: Text, *, client: Client) -> None: ...


@router.job("remind")
def on_remind(order: Order) -> None: ...


@app.job("tidy", schedule="@every 1h")
async def on_tidy(*, client: Client) -> None: ...


@app.job("wait")
def on_wait() -> None: ...


elsewhere = Job("elsewhere", Order)
empty = Job("empty", None)
assert_type(on_report, Job[Text])
assert_type(on_remind, Job[Order])
assert_type(on_tidy, Job[None])
assert_type(on_wait, Job[None])
assert_type(elsewhere, Job[Order])
assert_type(empty, Job[None])


async def jobs(client: Client) -> None:
    policy = ConstantFailurePolicy(timedelta(minutes=1), max_retries=None)
    await client.schedule(on_remind, Order("o1", 5), due=timedelta(hours=1), failure_policy=policy)
    await client.schedule(on_tidy, every="@daily", repeats=3, overwrite=True)
    await client.schedule("anything", {"a": 1}, every=timedelta(minutes=5))
    assert_type(await client.job(on_remind), ScheduledJob[Order] | None)
    assert_type(await client.job("remind", Order), ScheduledJob[Order] | None)
    assert_type(await client.job("remind"), ScheduledJob[Any] | None)
    await client.delete_job(on_remind)
    await client.delete_job("remind")


async def calls(client: Client) -> None:
    await on_order(Order("o1", 5), database=Database())
    assert_type(
        await on_vip(CloudEvent(id="1", source="s", type="t", data=Order("o1", 5))), Status | None
    )
    await sweep(client=client)
    await client.publish(orders, Order("o2", 1))
    await client.publish("pubsub", "orders", {"id": "o2"})
    await client.publish(orders, Order("o2", 1), ttl=timedelta(hours=1), id="e1", raw=False)
    await client.publish(orders, CloudEvent(id="1", source="s", type="t", data=Order("o2", 1)))
    await client.publish_many(orders, [Order("o2", 1)], subject="s")
    assert_type((await client.request("app", "m", verb="GET")).json(Order), Order)
    async with client.stream("app", "m") as streamed:
        assert_type([chunk async for chunk in streamed], list[bytes])
    assert_type(await client.bind("b", "get"), bytes)
    assert_type((await client.bind("b", "get", returns=Order)).data, Order)
    assert_type((await client.secrets("vault"))["a"], str)
    assert_type((await client.metadata()).version, str)
    assert_type(client.with_options(timeout=1), Client)
    assert_type(await client.invoke(quote, Order("o1", 5)), int)
    assert_type(await client.invoke(total), int)


def with_item(order: Order | None) -> Order:
    return order or Order("o1", 5)


async def state(client: Client) -> None:
    store = client.state("statestore")
    item = await store.get("order", Order)
    assert_type(item, Item[Order] | None)
    if item is not None:
        await store.set("order", item.value, etag=item.etag, ttl=timedelta(hours=1))
    assert_type(await store.update("order", Order, with_item), Order)
    await store.delete("order")
    assert_type(await client.secret("vault", "dsn"), str)
    assert_type(await client.bind("files", "get", metadata={"fileName": "a"}), bytes)


async def cheap(order: Order) -> int:
    return order.total


async def all_of_a_store(client: Client) -> None:
    store = client.state("statestore")
    found = await store.get_many(["a", "b"], Order)
    assert_type(found, Items[Order])
    assert_type(found["a"], Item[Order] | None)
    await store.set_many({"a": Order("a", 1)})
    await store.set_many([Upsert("a", Order("a", 1), ttl=timedelta(hours=1))])
    await store.delete_many(["a", Delete("b", etag="1")])
    await store.transaction(Upsert("a", 1, concurrency="first-write"), Delete("b"))
    where = EQ("id", "o1") & GT("total", 1) | EQ("total", 0)
    page = await store.query(Order, where, sort=ascending("total"), limit=2)
    assert_type(page, Page[Order])
    assert_type(list(page), list[Order])
    orders_of_ann = store.records(Order, "ann:")
    assert_type(orders_of_ann, Records[Order])
    assert_type(await orders_of_ann.get("1"), Item[Order] | None)
    assert_type(await store.get("raw", bytes), Item[bytes] | None)


@app.configuration("settings", "order", default=Order("o1", 1))
async def on_setting(item: ConfigItem[Order], *, client: Client) -> None:
    assert_type(item.value, Order)


async def configuration(client: Client) -> None:
    settings = client.configuration("overrides", "settings")
    assert_type(await settings.get("order", Order), ConfigItem[Order] | None)
    assert_type(await settings.get("order", Order, default=Order("o1", 1)), ConfigItem[Order])
    assert_type(await settings.get_many(["a", "b"], int), dict[str, ConfigItem[int]])
    async for item in settings.subscribe("limit", int):
        assert_type(item, ConfigItem[int | None])
    async for item_or_default in settings.subscribe(["limit"], int, default=1):
        assert_type(item_or_default, ConfigItem[int])
    async with settings.live("limit") as live:
        assert_type(live.get("limit", int), int)
        assert_type(live.item("limit", int), ConfigItem[int] | None)


async def lock(client: Client) -> None:
    wait = timedelta(seconds=5)
    async with client.lock("lockstore", "r", expiry=wait, wait=wait, renew=True) as held:
        assert_type(held, HeldLock)
        assert_type(held.remaining, timedelta)


async def subscription(client: Client) -> None:
    async with client.subscribe(orders, dead_letter="dead", max_in_flight=8) as messages:
        assert_type(messages, Subscription[Order])
        async for message in messages:
            assert_type(message, EventMessage[Order])
            assert_type(message.data, Order)
            assert_type(message.event, CloudEvent[Order])
            async with message:
                await message.ack()
    async for text in client.subscribe("pubsub", "texts", str, raw=True, metadata={"a": "b"}):
        assert_type(text.data, str)


def blocking_subscription(client: SyncClient) -> None:
    with client.subscribe(orders) as messages:
        for message in messages:
            assert_type(message.data, Order)
            with message:
                message.retry()


async def through_grpc(client: Client) -> None:
    channel = client.grpc_channel("greeter")
    assert_type(channel, grpc.aio.Channel)
    greet: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary("/g.Greeter/Greet")
    assert_type(await greet(b"ann", timeout=5), bytes)


class Cart(msgspec.Struct):
    items: list[str] = []


@app.actor(idle=timedelta(minutes=10), reentrant=True, max_depth=4)
class CartActor(Actor[Cart]):
    seen = Part(list[str], ttl=timedelta(hours=1))

    def __init__(self, client: Client) -> None:
        self.client = client

    async def add(self, sku: str, count: int = 1) -> int:
        assert_type(self.state, Cart)
        assert_type(self.seen, list[str])
        assert_type(CartActor.seen, Part[list[str]])
        self.state = Cart([*self.state.items, sku])
        del self.seen
        await self.remind(self.expire, "idle", due=timedelta(hours=1))
        await self.remind(self.clear, every="PT1H", repeats=3, name="hourly", overwrite=False)
        await self.set_timer(self.add, "tea", 2, every=timedelta(seconds=1), ttl=timedelta(hours=1))
        await self.unremind(self.expire)
        await self.unset_timer("add")
        return len(self.state.items) * count

    async def expire(self, reason: str) -> None:
        self.state.items.clear()

    @actor_method("ClearAll")
    async def clear(self) -> None: ...


@app.actor
class CountActor(Actor[int]):
    async def up(self) -> int:
        self.state += 1
        return self.state


class Stock(ActorInterface, actor_type="StockActor"):
    async def left(self, sku: str) -> int | None:
        raise NotImplementedError


async def actors(client: Client) -> None:
    cart = client.actor(CartActor, "ann")
    assert_type(cart, CartActor)
    assert_type(await cart.add("tea"), int)
    assert_type(await cart.add(sku="tea", count=2), int)
    assert_type(await client.actor(Stock, "tea").left("tea"), int | None)
    raw = client.actor("StockActor", "tea")
    assert_type(raw, RawActor)
    assert_type(await raw.invoke("left", "tea"), bytes)
    assert_type(await raw.invoke("left", "tea", returns=int), int)


approved = ExternalEvent("approved", bool)
score = Activity("risk", "score", Order, int)
invoice = Workflow("billing", "invoice", Order, Receipt)


@app.activity
async def charge(order: Order, *, database: Database) -> Receipt:
    return Receipt(order.id)


@app.activity
def render(receipt: Receipt) -> str:
    return receipt.order_id


@app.activity(name="sweep-all")
async def swept(*, client: Client) -> int:
    return 0


@app.workflow
async def checkout(ctx: WorkflowContext, order: Order) -> str:
    policy = RetryPolicy(attempts=5, never=(ValueError, "NotFound"))
    risk, receipt = await ctx.gather(ctx.call(score, order), ctx.call(charge, order, retry=policy))
    assert_type(risk, int)
    assert_type(receipt, Receipt)
    if risk > 80 and not await ctx.wait(approved, timeout=timedelta(days=1), default=False):
        return "rejected"
    pages = await ctx.gather(*(ctx.call(render, receipt) for _ in range(3)))
    assert_type(pages, list[str])
    assert_type(await ctx.call(swept), int)
    assert_type(await ctx.start(invoice, order), Receipt)
    assert_type(ctx.start(invoice, order, detached=True), str)
    winner = await ctx.race(ctx.call(score, order), ctx.call(score, order))
    first: Task[int] = winner
    assert_type(await first, int)
    async with ctx.saga() as saga:
        saga.undo(render, receipt)
    return pages[0]


@app.workflow(name="nightly", version="2", default=True)
async def nightly(ctx: WorkflowContext) -> None:
    await ctx.sleep(timedelta(hours=1))
    ctx.restart()


async def workflows(client: Client) -> None:
    assert_type(await charge(Order("o1", 5), database=Database()), Receipt)
    assert_type(render(Receipt("o1")), str)
    run = await client.start(checkout, Order("o1", 5), id="o1")
    await run.send(approved, bool(1))
    assert_type(await run.result(), str)
    assert_type((await run.status()).output, str | None)
    assert_type(await (await client.start(nightly)).result(), None)
    assert_type(await client.workflow(checkout, "o1").result(), str)
    async for status in client.workflows(checkout):
        assert_type(status.id, str)


DaprFlow("tuned", actors=ActorDefaults(idle=timedelta(hours=2), reentrant=True))


async def in_a_test() -> None:
    async with TestSidecar(app, secrets={"vault": {"dsn": "x"}}) as dapr:
        dapr.fake(price, cheap)
        assert_type(await dapr.publish(orders, Order("o1", 5)), Status)
        assert_type(dapr.published(orders), list[Order])
        assert_type(await dapr.invoke(quote, Order("o1", 5)), int)
        assert_type(await dapr.invoke(total), int)
        assert_type(await dapr.actor(CartActor, "ann").add("tea"), int)
        dapr.fake(score, cheap)
        assert_type(await (await dapr.start(checkout, Order("o1", 5))).result(), str)
        await dapr.advance(timedelta(days=2))


def kept() -> Callable[[BindingEvent[Text]], Coroutine[Any, Any, None]]:
    return on_sms


@asynccontextmanager
async def lifespan(_: Starlette) -> AsyncIterator[None]:
    yield


other = DaprFlow("other", lifespan=lifespan)
api = FastAPI()
app.install(api)
site = Starlette(routes=[*other.routes], lifespan=other.lifespan)
wrapped = other.wrap(site)
assert_type(wrapped.daprflow_app, DaprFlow)


@app.on_health
async def tell(change: HealthChange) -> None:
    assert_type(change.status, HealthStatus)
    assert_type(change.report.causes, tuple[PartHealth, ...])


@app.on_health
def note(change: HealthChange) -> None: ...


told: Callable[[HealthChange], None] = note
DaprFlow("watched", health=HealthSettings(drain=5))


async def looked_at(client: Client) -> None:
    report = await client.health(max_age=timedelta(seconds=1), components=["store"])
    assert_type(report, HealthReport)
    assert_type(report.status, HealthStatus)
    assert_type(SyncClient().health(), HealthReport)
