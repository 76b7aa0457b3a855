"""Reserves goods, and packs what was ordered."""

import msgspec
import structlog
from opentelemetry import trace

from daprflow import Client, DaprFlow, Topic


class Order(msgspec.Struct):
    id: str
    sku: str


PRICES = {"tea": 300, "cup": 1200}
orders = Topic("pubsub", "orders", Order)
log = structlog.get_logger("warehouse")
tracer = trace.get_tracer("warehouse")

app = DaprFlow("warehouse")


@app.invoke
async def reserve(order: Order) -> int:
    with tracer.start_as_current_span("look into the shelf"):
        return PRICES[order.sku]  # a KeyError is a 500, with its stack in the log and in the trace


@app.topic(orders, dead_letter="orders-dead")
async def on_order(order: Order, *, client: Client) -> None:
    await client.state("statestore").set(order.id, order)
    log.info("packed", order=order.id)
