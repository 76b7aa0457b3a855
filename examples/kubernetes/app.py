"""Orders: a broker and a store that differ by environment, and who may call what."""

from datetime import timedelta

import msgspec

from daprflow import Client, DaprFlow, Topic
from daprflow.components import (
    Caller,
    ComponentTarget,
    DurablePubSub,
    KafkaPubSub,
    Policies,
    PostgresState,
    Retries,
    SqliteState,
    Tracing,
    secret,
)

app = DaprFlow("orders")


class Order(msgspec.Struct):
    id: str
    total: int


placed = Topic("broker", "orders.placed", Order)


@app.topic(placed, dead_letter="orders.dead")
async def on_placed(order: Order, *, client: Client) -> None:
    await client.state("store").set(order.id, order)
    print(f"order {order.id}")


@app.invoke
async def total(order_id: str, *, client: Client) -> int:
    found = await client.state("store").get(order_id, Order)
    return 0 if found is None else found.value.total


@app.cron("sweep", "@every 15m")
async def sweep() -> None: ...


# --8<-- [start:components]
app.component(DurablePubSub("broker"), env=("dev", "test"))
app.component(
    KafkaPubSub(
        "broker",
        brokers="kafka.data.svc:9093",
        auth_type="password",
        sasl_username=secret("kubernetes", "kafka", "username"),
        sasl_password=secret("kubernetes", "kafka", "password"),
        sasl_mechanism="SHA-512",
    ),
    env="prod",
)
app.component(SqliteState("store", connection_string="orders.db"), env=("dev", "test"))
app.component(
    PostgresState("store", connection_string=secret("kubernetes", "database", "dsn")), env="prod"
)
# --8<-- [end:components]

# --8<-- [start:policies]
again = Retries("again", policy="exponential", max_interval=timedelta(minutes=1), max_retries=8)
app.resiliency(ComponentTarget("broker", inbound=Policies(retry=again)), name="orders")
app.access_policy(Caller("checkout", allow=[total], namespace="shop"))
zipkin = Tracing(zipkin="http://zipkin.tracing.svc:9411/api/v2/spans")
app.sidecar_configuration(tracing=zipkin, env=("staging", "prod"))
# --8<-- [end:policies]
