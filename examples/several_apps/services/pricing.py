"""Knows what things cost."""

import os

from daprflow import DaprFlow

from .contracts import Order

app = DaprFlow("pricing")


@app.invoke
async def price(order: Order) -> int:
    return len(order.sku) * (100 + int(os.environ.get("VAT", "0")))
