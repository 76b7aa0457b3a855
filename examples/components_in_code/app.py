"""A shop whose components are declared beside its handlers: files in dev, servers in prod."""

from datetime import timedelta

import msgspec

from daprflow import Client, DaprFlow, Topic
from daprflow.components import (
    Caller,
    ComponentTarget,
    DurablePubSub,
    Policies,
    PostgresState,
    RedisPubSub,
    Retries,
    SqliteState,
    Timeout,
    env_ref,
    secret,
)


class Order(msgspec.Struct):
    id: str
    total: int


orders = Topic("pubsub", "orders", Order)

app = DaprFlow("shop")

# --8<-- [start:components]
app.component(SqliteState("statestore", connection_string="shop.db"), env="dev")
app.component(DurablePubSub("pubsub"), env="dev")

app.component(
    PostgresState("statestore", connection_string=secret("kubernetes", "postgres-dsn")),
    env="prod",
)
app.component(
    RedisPubSub(
        "pubsub",
        redis_host=env_ref("REDIS_HOST"),
        redis_db=env_ref("REDIS_DB"),
        redis_password=secret("kubernetes", "redis-password"),
        redeliver_interval=timedelta(seconds=1),
        processing_timeout=timedelta(seconds=1),
    ),
    env="prod",
)
# --8<-- [end:components]


@app.topic(orders, dead_letter="orders-dead")
async def on_order(order: Order, *, client: Client) -> None:
    store = client.state("statestore")
    await store.set(order.id, order)
    print(f"order {order.id}")
    await store.update("sales", int, lambda sold: (sold or 0) + order.total)


@app.invoke
async def place(order: Order, *, client: Client) -> None:
    await client.publish(orders, order)


@app.invoke("GET", "/orders/{id}")
async def show(*, id: str, client: Client) -> Order | None:  # noqa: A002 - as in the path
    item = await client.state("statestore").get(id, Order)
    return None if item is None else item.value


@app.invoke
async def sales(*, client: Client) -> int:
    item = await client.state("statestore").get("sales", int)
    return 0 if item is None else item.value


# --8<-- [start:policies]
quickly = Timeout("quickly", timedelta(seconds=5))
again = Retries("again", duration=timedelta(seconds=1), max_retries=3)

app.resiliency(
    ComponentTarget(orders, outbound=Policies(timeout=quickly), inbound=Policies(retry=again)),
    ComponentTarget("statestore", outbound=Policies(timeout=quickly, retry=again)),
)
app.access_policy(
    Caller("website", allow=[place, show]),
    Caller("reports", allow=[sales]),
    env="prod",
)
# --8<-- [end:policies]
