"""An app whose deliveries, waits and calls are counted for Prometheus."""

import msgspec
from prometheus_client import Counter

from daprflow import DaprFlow, Topic
from daprflow.observability import Metrics, Observability


class Order(msgspec.Struct):
    id: str
    total: int


orders = Topic("pubsub", "orders", Order)
revenue = Counter("shop_revenue", "What was ordered, in cents.")

app = DaprFlow("metrics-example", observability=Observability(metrics=Metrics()))


@app.topic(orders, dead_letter="orders-dead")
async def on_order(order: Order) -> None:
    revenue.inc(order.total)
    print(f"order {order.id}")
