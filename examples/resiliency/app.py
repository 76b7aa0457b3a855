"""A shop whose dependency is flaky: what it does itself, and what its policy file does."""

from dataclasses import dataclass, field

import msgspec
from starlette.exceptions import HTTPException

from daprflow import Client, DaprFlow, Endpoint, InvocationError, Retry, Topic


class Quote(msgspec.Struct):
    price: int
    fresh: bool


class Order(msgspec.Struct):
    sku: str
    pieces: int


@dataclass
class Memory:
    prices: dict[str, int] = field(default_factory=dict)
    totals: dict[str, int] = field(default_factory=dict)


price = Endpoint("pricing", "price", str, int)  # a method of another app, which fails at times
orders = Topic("pubsub", "orders", Order)

app = DaprFlow("shop")


@app.provide
def memory() -> Memory:
    return Memory()


@app.invoke
async def quote(sku: str, *, client: Client, memory: Memory) -> Quote:
    try:
        memory.prices[sku] = await client.invoke(price, sku)
    except InvocationError as error:  # it failed, or the breaker is open and it was not asked
        print(f"no fresh price: {error}", flush=True)
        if sku not in memory.prices:
            raise HTTPException(503, f"nobody knows what '{sku}' costs") from error
        return Quote(memory.prices[sku], fresh=False)
    return Quote(memory.prices[sku], fresh=True)


@app.topic(orders, dead_letter="orders-dead")
async def on_order(order: Order, *, client: Client, memory: Memory) -> None:
    try:
        total = order.pieces * await client.invoke(price, order.sku)
    except InvocationError as error:
        raise Retry(f"there is no price of '{order.sku}' yet") from error
    memory.totals[order.sku] = total
    print(f"{order.pieces} {order.sku}: {total}", flush=True)


@app.invoke
async def totals(*, memory: Memory) -> dict[str, int]:
    return memory.totals
