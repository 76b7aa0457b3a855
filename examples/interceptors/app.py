"""Code around every handler, and code around every request."""

from collections import Counter
from time import perf_counter

import msgspec
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware

from daprflow import DaprFlow, Delivery, Next, Outcome, Status, Topic


class Order(msgspec.Struct):
    id: str
    tenant: str


seen: Counter[str] = Counter()


async def timing(delivery: Delivery, call: Next) -> Outcome:
    """Look at what came in and at what came out."""
    begun = perf_counter()
    outcome = await call(delivery)
    seen[f"{delivery.kind} {delivery.name}: {outcome.status.value}"] += 1
    print(f"{delivery.name}: {outcome.http_status} after {perf_counter() - begun:.4f} s")
    return outcome


async def closed_tenants(delivery: Delivery, call: Next) -> Outcome:
    """Decide without the handler: this one is never called, the event is given up."""
    if delivery.kind == "topic" and b'"tenant":"closed"' in delivery.body:
        return Outcome(Status.DROP)
    return await call(delivery)


orders = Topic("pubsub", "orders", Order)
app = DaprFlow(
    "interceptors-example",
    interceptors=[timing, closed_tenants],
    middleware=[Middleware(GZipMiddleware, minimum_size=500)],
)


@app.topic(orders, dead_letter="orders-dead")
async def on_order(order: Order) -> None:
    print(f"order {order.id} of {order.tenant}")


@app.invoke
async def terms() -> str:
    return "no refunds\n" * 100
