"""Misuses of the public API; mypy refuses exactly the lines that say so."""

from datetime import timedelta
from typing import Annotated

from daprflow import (
    Actor,
    Batch,
    Client,
    CloudEvent,
    Codecs,
    DaprFlow,
    JsonCodec,
    Query,
    WorkflowContext,
)
from daprflow.client import Upsert
from daprflow.health import HealthSettings
from daprflow.testing import TestSidecar
from tests.typing.accepted import (
    Cart,
    CartActor,
    Money,
    Order,
    Receipt,
    Search,
    app,
    approved,
    charge,
    checkout,
    get_order,
    invoice,
    on_remind,
    on_tidy,
    orders,
    price,
    put_order,
    quote,
    receipts,
    remote_search,
    search,
    with_item,
)


async def wrong_payloads(client: Client) -> None:
    await client.publish(orders, Order("o1", 1))
    await client.publish(orders, Receipt("x"))  # refused: misc
    await client.publish(receipts, "x")  # refused: misc
    await client.publish_many(orders, [Receipt("x")])  # refused: misc
    await client.publish(orders, Order("o1", 1), subjekt="s")  # refused: call-overload
    await client.request("app", "m", ver="GET")  # refused: call-arg
    await client.invoke(price, "x")  # refused: misc
    await client.invoke(quote, Receipt("x"))  # refused: misc
    price(Order("o1", 1))  # refused: operator


@app.topic(orders)  # refused: arg-type
async def another_payload(order: Receipt) -> None: ...


@app.topic(orders)  # refused: arg-type
async def another_data(event: CloudEvent[Receipt]) -> None: ...


@app.topic(orders)  # refused: arg-type
async def another_batch(batch: Batch[Receipt]) -> None: ...


@app.topic(orders)  # refused: type-var
async def returns_the_order(order: Order) -> Order:
    return order


@app.topic(orders)  # refused: type-var
def returns_a_number(order: Order) -> int:
    return 1


@app.topic("pubsub", "orders")  # refused: type-var
def returns_text(order: Order) -> str:
    return "paid"


@app.provide(scope="request")  # refused: call-overload, untyped-decorator
def number() -> int:
    return 1


async def wrong_fake(receipt: Receipt) -> int:
    return 1


async def wrong_state(client: Client) -> None:
    store = client.state("statestore")
    await store.update("order", Receipt, with_item)  # refused: arg-type
    await store.set("k", 1, concurrency="first")  # refused: arg-type
    await store.set("k", 1, consistency="eventually")  # refused: arg-type
    await store.transaction("k")  # refused: arg-type
    await store.delete_many([Upsert("k", 1)])  # refused: list-item
    await store.records(Order).set("k", Receipt("x"))  # refused: arg-type
    await store.query(Order, {"EQ": {"a": 1}})  # refused: arg-type


async def wrong_tests(dapr: TestSidecar) -> None:
    dapr.fake(price, wrong_fake)  # refused: arg-type
    await dapr.publish(orders, Receipt("x"))  # refused: misc
    await dapr.invoke(price, "x")  # refused: misc


async def wrong_calls_of_paths(client: Client, dapr: TestSidecar) -> None:
    await client.invoke(search, Order("7", 1))  # refused: misc
    await client.invoke(search, Search(7))  # refused: arg-type
    await client.invoke(search, Search("7", pages=2))  # refused: call-arg
    await client.invoke(put_order, Receipt("7"), order_id="7")  # refused: misc
    await client.invoke(put_order, order_id="7")  # refused: arg-type
    await dapr.invoke(remote_search, Order("7", 1))  # refused: misc
    quote(await client.invoke(get_order, order_id="7"))  # refused: operator


@app.invoke("GET")  # refused: call-overload, untyped-decorator
async def no_path() -> None: ...


@app.invoke("GET", "/a", status="201")  # refused: call-overload, untyped-decorator
async def no_status(*, page: Annotated[int, Query()] = 1) -> None: ...


def number_of(text: str) -> int:
    return 1


JsonCodec(Money, encode=str, decode=number_of)  # mypy alone # refused: arg-type
DaprFlow("x", codecs=JsonCodec(Money, encode=str, decode=Money.parse))  # refused: arg-type
Codecs(orders)  # refused: arg-type


async def wrong_configuration(client: Client) -> None:
    settings = client.configuration("settings")
    await settings.get("limit")  # refused: call-overload
    await settings.get_many(1, int)  # refused: arg-type
    client.configuration()  # refused: call-arg


async def wrong_locks(client: Client) -> None:
    client.lock("lockstore")  # refused: call-arg
    client.lock("lockstore", "r", expiry=5)  # refused: arg-type
    with client.lock("lockstore", "r"):  # refused: attr-defined
        pass


async def wrong_jobs(client: Client) -> None:
    await client.schedule(on_remind, Receipt("x"), due=timedelta(1))  # refused: misc
    await client.schedule(on_remind, due=timedelta(1))  # refused: arg-type
    await client.schedule(on_tidy, Order("o1", 1), due=timedelta(1))  # refused: misc
    await client.schedule(on_tidy, due="soon")  # refused: call-overload


@app.job("nightly", schedule="@daily", data="x")  # refused: arg-type
async def other_data(order: Order) -> None: ...


@app.job("hourly", data=Order("o1", 1))  # refused: call-overload, untyped-decorator
async def no_schedule(order: Order) -> None: ...


async def wrong_subscriptions(client: Client) -> None:
    client.subscribe("pubsub", "orders")  # refused: call-overload
    client.subscribe(orders, dead_letter=True)  # refused: call-overload
    client.subscribe(orders, timeout=1)  # refused: call-overload
    with client.subscribe(orders):  # refused: attr-defined
        pass
    async for message in client.subscribe(orders):
        _receipt: Receipt = message.data  # refused: assignment
        await message.nack()  # refused: attr-defined
    client.grpc_channel()  # refused: call-arg


async def wrong_actors(client: Client) -> None:
    cart = client.actor(CartActor, "ann")
    await cart.add(1)  # refused: arg-type
    await cart.add()  # refused: call-arg
    await cart.nothing()  # refused: attr-defined
    await client.publish("pubsub", await cart.add("tea"), "x")  # refused: call-overload
    client.actor(Cart, "ann")  # refused: type-var
    client.actor(CartActor, 1)  # refused: call-overload
    client.actor(CartActor)  # refused: call-overload


class WrongActor(Actor[Cart]):
    async def add(self, sku: str) -> None:
        self.state = 5  # refused: assignment
        self.state.nothing()  # refused: attr-defined
        await self.remind(self.add, 1, due=timedelta(1))  # refused: arg-type
        await self.remind(self.add, due=timedelta(1))  # refused: arg-type
        await self.remind(self.add, "tea", due=5)  # refused: call-overload
        await self.set_timer(self.add, "tea", overwrite=True)  # refused: call-overload
        await self.remind(self.helper, due=timedelta(1))  # refused: arg-type

    def helper(self) -> None: ...


@app.actor(idle=5)  # refused: call-overload
class WrongIdle(Actor[Cart]): ...


@app.actor
class NoActor: ...  # refused: type-var


async def wrong_workflows(client: Client, ctx: WorkflowContext) -> None:
    await client.start(checkout, Receipt("x"))  # refused: misc
    await ctx.call(charge, Receipt("x"))  # refused: misc
    await ctx.call(charge, "x")  # refused: misc
    await ctx.start(invoice, 5)  # refused: misc
    run = await client.start(checkout, Order("1", 2))
    await run.send(approved, "yes")  # refused: misc
    ctx.wait(approved, default=False)  # refused: call-overload
    ctx.call(quote, Order("1", 2))  # refused: call-overload
    invoice(ctx, Order("1", 2))  # refused: operator


@app.on_health  # refused: type-var
def wrong_listener(change: int) -> None: ...


DaprFlow("watched", health=HealthSettings(5))  # refused: call-arg
