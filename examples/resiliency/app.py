"""A service whose dependency is flaky: what it does itself, and what its policy file does."""

import msgspec

from daprflow import Client, DaprFlow, Endpoint, InvocationError, Topic


class Order(msgspec.Struct):
    sku: str
    pieces: int


price = Endpoint("pricing", "price", str, int)  # a method of another app, which fails at times
orders = Topic("pubsub", "orders", Order)

app = DaprFlow("shop")
known_prices: dict[str, int] = {}
totals: dict[str, int] = {}


@app.invoke
async def quote(sku: str, *, client: Client) -> int:
    try:
        known_prices[sku] = await client.invoke(price, sku)
    except InvocationError:  # it failed, or the circuit breaker is open and it was not asked
        if sku not in known_prices:
            raise
    return known_prices[sku]


@app.topic(orders, dead_letter="orders-dead")
async def on_order(order: Order, *, client: Client) -> None:
    totals[order.sku] = order.pieces * await client.invoke(price, order.sku)
