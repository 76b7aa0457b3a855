"""Methods that others call: by name, by verb and path, and from one to another."""

# --8<-- [start:paths]
from typing import Annotated

import msgspec
from starlette.exceptions import HTTPException

from daprflow import Client, DaprFlow, Endpoint, Header, Path, Query


class Order(msgspec.Struct):
    id: str
    total: int


app = DaprFlow("invoke-example")
orders = {"7": Order("7", 100)}


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


@app.invoke("GET", "/orders/{order_id}")
async def get_order(*, order_id: str) -> Order:
    if order_id not in orders:
        raise HTTPException(404, f"there is no order '{order_id}'")
    return orders[order_id]


@app.invoke("GET", "/orders")
async def find_orders(
    *,
    least: Annotated[int, Query()] = 0,
    only: Annotated[list[str] | None, Query()] = None,
    tenant: Annotated[str, Header("x-tenant")] = "",
) -> list[Order]:
    return [
        order
        for order in orders.values()
        if order.total >= least and (only is None or order.id in only) and tenant != "nobody"
    ]


@app.invoke("PUT", "/orders/{order_id}", status=201)
async def put_order(order: Order, *, order_id: str) -> Order:
    orders[order_id] = order
    return order


@app.invoke("DELETE", "/orders/{order_id}")
async def delete_order(*, order_id: str) -> None:
    orders.pop(order_id, None)


# --8<-- [end:paths]


# --8<-- [start:remote]
# What another team's service writes; the path's parameters are given by name.
remote_order = Endpoint("invoke-example", "GET /orders/{order_id}", None, Order)
# --8<-- [end:remote]


# --8<-- [start:fields]
class Discount(msgspec.Struct):
    order_id: Annotated[str, Path()]
    percent: int
    dry_run: Annotated[bool, Query("dry-run")] = False


@app.invoke("POST", "/orders/{order_id}/discounts")
async def discount(asked: Discount) -> int:
    order = orders[asked.order_id]
    total = order.total * (100 - asked.percent) // 100
    if not asked.dry_run:
        order.total = total
    return total


# For another service, once more.
remote_discount = Endpoint("invoke-example", "POST /orders/{order_id}/discounts", Discount, int)
# --8<-- [end:fields]
