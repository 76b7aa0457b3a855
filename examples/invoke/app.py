"""Two methods: one is called by others, and calls the second through the sidecar."""

import msgspec
from starlette.exceptions import HTTPException

from daprflow import Client, DaprFlow, Endpoint


class Order(msgspec.Struct):
    id: str
    total: int


# The address of a method, with its types; services share such handles instead of URLs.
price = Endpoint("invoke-example", "price", Order, int)
app = DaprFlow("invoke-example")


@app.invoke(name="price")
async def with_tax(order: Order) -> int:
    if order.total < 0:
        raise HTTPException(422, f"order '{order.id}' has a negative total")
    return order.total * 119 // 100


@app.invoke
async def quote(order: Order, *, client: Client) -> str:
    return f"{order.id} costs {await client.invoke(price, order)}"
