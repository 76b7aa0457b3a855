"""Measured: the typed topic handler with every limit on: rate, headers, body, time, concurrency."""

import msgspec
from starlette.middleware import Middleware

from daprflow import DaprFlow, Router, Topic
from daprflow.middleware import RateLimit, RequestLimits, SlidingWindow


class Order(msgspec.Struct):
    """The payload."""

    id: int


router = Router(
    middleware=[
        Middleware(RequestLimits, timeout=10.0),
        Middleware(RateLimit, rule=SlidingWindow(10**9, 60.0)),
    ]
)
app = DaprFlow("bench")
app.include(router)


@router.topic(Topic("pubsub", "orders", Order), max_concurrency=1000)
async def on_order(order: Order) -> None:
    """Handle an order."""
