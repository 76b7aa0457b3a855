"""Between: one topic has moved, the other one is still the extension's, in one application."""

from dapr.ext.fastapi import DaprApp
from fastapi import FastAPI
from pydantic import BaseModel

from daprflow import DaprFlow, Drop, Topic


class Order(BaseModel):
    id: str
    total: int


app = FastAPI()
dapr_app = DaprApp(app)
service = DaprFlow("shop")
given_up: list[object] = []


@service.topic(Topic("pubsub", "orders", Order), dead_letter="orders-dead")
async def on_order(order: Order) -> None:
    if order.total < 0:
        raise Drop("a negative total is never right")


@dapr_app.subscribe(pubsub="pubsub", topic="orders-dead")
async def on_dead(event: dict[str, object]) -> None:
    given_up.append(event["data"])


service.install(app)
