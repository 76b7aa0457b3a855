"""An app whose lines are JSON, each with the delivery that it was written in, and no secrets."""

import logging

import msgspec
import structlog

from daprflow import Client, DaprFlow, Topic
from daprflow.observability import LogFormat, Logs, Observability, Secret


class Order(msgspec.Struct):
    id: str
    card: str


orders = Topic("pubsub", "orders", Order)
log = structlog.get_logger("shop")
audit = logging.getLogger("shop.audit")

app = DaprFlow("logging-example", observability=Observability(logs=Logs(format=LogFormat.JSON)))


# --8<-- [start:lines]
@app.topic(orders, dead_letter="orders-dead")
async def on_order(order: Order, *, client: Client) -> None:
    key = Secret(await client.secret("vault", "payment-key"))
    log.info("charging", order=order.id, api_key=key, card=Secret(order.card))
    audit.info("charged with %s", key.reveal())  # found by its value, and taken out
    # --8<-- [end:lines]
