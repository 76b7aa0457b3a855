"""Carts in a state store: no lost update, many at once, moved in a transaction, and bytes."""

from datetime import timedelta

import msgspec

from daprflow import Client, DaprFlow
from daprflow.client import Delete, Records, Upsert


class Cart(msgspec.Struct):
    items: list[str] = []


class Line(msgspec.Struct):
    customer: str
    sku: str


class Move(msgspec.Struct):
    guest: str
    customer: str


app = DaprFlow("state-example")


@app.provide
def carts(client: Client) -> Records[Cart]:
    return client.state("statestore").records(Cart, "cart:")


@app.invoke
async def add(line: Line, *, carts: Records[Cart]) -> Cart:
    def append(cart: Cart | None) -> Cart:
        return Cart([*(cart or Cart()).items, line.sku])

    return await carts.update(line.customer, append)


@app.invoke
async def show(customer: str, *, carts: Records[Cart]) -> Cart:
    item = await carts.get(customer)
    return item.value if item else Cart()


@app.invoke
async def show_all(customers: list[str], *, client: Client) -> dict[str, Cart]:
    keys = [f"cart:{customer}" for customer in customers]
    found = await client.state("statestore").get_many(keys, Cart)
    return {key.removeprefix("cart:"): item.value for key, item in found.items() if item}


@app.invoke
async def sign_in(move: Move, *, client: Client) -> None:
    """Give a guest's cart to a customer: both keys change, or neither does."""
    store = client.state("statestore")
    item = await store.get(f"cart:{move.guest}", Cart)
    if item is not None:
        await store.transaction(
            Upsert(f"cart:{move.customer}", item.value),
            Delete(f"cart:{move.guest}", etag=item.etag),
        )


@app.invoke
async def reserve(line: Line, *, client: Client) -> None:
    store = client.state("statestore")
    await store.set(f"reserved:{line.sku}", line.customer, ttl=timedelta(minutes=15))


@app.invoke
async def keep_photo(photo: bytes, *, client: Client) -> None:
    await client.state("statestore").set("photo", photo)
