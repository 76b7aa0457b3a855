"""An order is charged once, however often its event is delivered."""

from datetime import timedelta

import msgspec

from daprflow import Batch, Client, CloudEvent, DaprFlow, Topic
from daprflow.reliability import Once


class Order(msgspec.Struct):
    id: str
    total: int


orders = Topic("pubsub", "orders", Order)
refunds = Topic("pubsub", "refunds", Order)
imports = Topic("pubsub", "imports", Order)
app = DaprFlow("idempotency-example")


def by_order(event: CloudEvent[Order]) -> str:
    return event.data.id


async def add(client: Client, account: str, amount: int) -> None:
    await client.state("statestore").update(account, int, lambda before: (before or 0) + amount)
    print(f"{account} {amount}")


@app.topic(orders, once="statestore", dead_letter="orders-dead")
async def on_order(order: Order, *, client: Client) -> None:
    await add(client, "charged", order.total)


@app.topic(
    refunds,
    once=Once("statestore", window=timedelta(hours=2), key=by_order),
    dead_letter="refunds-dead",
)
async def on_refund(order: Order, *, client: Client) -> None:
    await add(client, "refunded", order.total)


@app.topic(imports, once="statestore", dead_letter="imports-dead")
async def on_imports(batch: Batch[Order], *, client: Client) -> None:
    await add(client, "imported", sum(entry.data.total for entry in batch))
