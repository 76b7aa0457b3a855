"""Uses of the public API that mypy accepts in strict mode, with the types they must have."""

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, assert_type

import msgspec
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request

from daprflow import (
    Batch,
    BindingEvent,
    Client,
    CloudEvent,
    DaprFlow,
    Delivery,
    Drop,
    Endpoint,
    Item,
    Next,
    Outcome,
    Router,
    Status,
    Topic,
)
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


async def calls(client: Client) -> None:
    await on_order(Order("o1", 5), database=Database())
    assert_type(
        await on_vip(CloudEvent(id="1", source="s", type="t", data=Order("o1", 5))), Status | None
    )
    await sweep(client=client)
    await client.publish(orders, Order("o2", 1))
    await client.publish("pubsub", "orders", {"id": "o2"})
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


async def in_a_test() -> None:
    async with TestSidecar(app, secrets={"vault": {"dsn": "x"}}) as dapr:
        dapr.fake(price, cheap)
        assert_type(await dapr.publish(orders, Order("o1", 5)), Status)
        assert_type(dapr.published(orders), list[Order])
        assert_type(await dapr.invoke(quote, Order("o1", 5)), int)
        assert_type(await dapr.invoke(total), int)
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
