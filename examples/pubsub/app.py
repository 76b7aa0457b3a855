"""Routing by content, a dead letter topic with a handler, bulk delivery with one verdict each."""

from datetime import timedelta

import msgspec

from daprflow import Batch, CloudEvent, DaprFlow, Drop, Retry, Status, Topic


class Order(msgspec.Struct):
    id: str
    total: int


class Metric(msgspec.Struct):
    name: str
    value: float


orders = Topic("pubsub", "orders", Order)
unusable = Topic("pubsub", "orders-dead", Order)
metrics = Topic("pubsub", "metrics", Metric)
app = DaprFlow("pubsub-example")


@app.topic(orders, match='event.type == "order.vip"')
async def on_vip(event: CloudEvent[Order]) -> Status | None:
    print(f"{event.id} from {event.source}: order {event.data.id} is from a good customer")
    return Status.RETRY if event.data.total > 9000 else None


@app.topic(orders, dead_letter="orders-dead")
async def on_order(order: Order) -> None:
    if order.total < 0:
        raise Drop("a negative total is never right")
    if order.total == 0:
        raise Retry("the price is not known yet")
    print(f"order {order.id}: {order.total}")


@app.topic(unusable)
async def on_unusable(order: Order) -> None:
    print(f"order {order.id} needs a person")


@app.topic(
    metrics,
    max_messages=100,
    max_wait=timedelta(milliseconds=200),
    dead_letter="metrics-dead",
)
async def on_metrics(batch: Batch[Metric]) -> None:
    for entry in batch:
        if entry.data.value < 0:
            entry.drop()
        else:
            print(f"{entry.data.name}: {entry.data.value}")
