"""Two methods: one is called by others, and calls the second through the sidecar."""

import msgspec
from starlette.exceptions import HTTPException

from daprflow import Client, DaprFlow, Endpoint


class Order(msgspec.Struct):
    id: str
    total: int


app = DaprFlow("invoke-example")


@app.invoke
async def price(order: Order) -> int:
    if order.total < 0:
        raise HTTPException(422, f"order '{order.id}' has a negative total")
    return order.total * 119 // 100


# What another service writes to call it: an address with its types instead of a URL.
remote_price = Endpoint("invoke-example", "price", Order, int)


@app.invoke
async def quote(order: Order, *, client: Client) -> str:
    return f"{order.id} costs {await client.invoke(remote_price, order)}"
