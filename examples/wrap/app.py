"""Any other ASGI application, here a bare function: Dapr's paths are ours, the rest is its own."""

import msgspec
from starlette.types import Receive, Scope, Send

from daprflow import DaprFlow, Topic


class Order(msgspec.Struct):
    id: str
    total: int


orders = Topic("pubsub", "orders", Order)
service = DaprFlow("wrap-example")


@service.topic(orders, dead_letter="orders-unreadable")
async def on_order(order: Order) -> None:
    print(f"order {order.id}: {order.total}")


async def site(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"the site's own page"})


app = service.wrap(site)
