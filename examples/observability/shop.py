"""Takes orders, has the goods reserved by the warehouse, and tells everybody."""

import msgspec
import structlog
from opentelemetry import trace
from prometheus_client import Counter

from daprflow import Client, DaprFlow, Endpoint, Topic


class Order(msgspec.Struct):
    id: str
    sku: str


reserve = Endpoint("warehouse", "reserve", Order, int)
orders = Topic("pubsub", "orders", Order)
log = structlog.get_logger("shop")
revenue = Counter("shop_revenue_cents", "What was sold, in cents.")

app = DaprFlow("shop")


# --8<-- [start:own]
@app.invoke
async def buy(order: Order, *, client: Client) -> int:
    trace.get_current_span().set_attribute("shop.order", order.id)
    cents = await client.invoke(reserve, order)
    await client.publish(orders, order)
    revenue.inc(cents)
    log.info("sold", order=order.id, cents=cents)
    return cents


# --8<-- [end:own]
