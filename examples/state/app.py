"""A cart in a state store: read with its ETag, change without losing an update, expire."""

from datetime import timedelta

import msgspec

from daprflow import Client, DaprFlow


class Cart(msgspec.Struct):
    items: list[str] = []


class Line(msgspec.Struct):
    customer: str
    sku: str


app = DaprFlow("state-example")


@app.invoke
async def add(line: Line, *, client: Client) -> Cart:
    def append(cart: Cart | None) -> Cart:
        return Cart([*(cart or Cart()).items, line.sku])

    return await client.state("statestore").update(f"cart:{line.customer}", Cart, append)


@app.invoke
async def show(customer: str, *, client: Client) -> Cart:
    item = await client.state("statestore").get(f"cart:{customer}", Cart)
    return item.value if item else Cart()


@app.invoke
async def reserve(line: Line, *, client: Client) -> None:
    store = client.state("statestore")
    await store.set(f"reserved:{line.sku}", line.customer, ttl=timedelta(minutes=15))
