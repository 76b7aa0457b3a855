"""A counter in Python, where orders are taken; the kitchen is an app in Node."""

import msgspec
from starlette.exceptions import HTTPException

from daprflow import Client, DaprFlow, Endpoint, InvocationError, Topic


class Order(msgspec.Struct):
    id: str
    dish: str


class Dish(msgspec.Struct):
    minutes: int


class Place(msgspec.Struct):
    table: int


class Served(msgspec.Struct):
    id: str
    dish: str
    table: int


recipe = Endpoint("kitchen", "GET /dishes/{dish}", None, Dish)  # answered by kitchen.mjs
orders = Topic("pubsub", "orders", Order)  # handled there
served = Topic("pubsub", "served", Served)  # published there

app = DaprFlow("counter")


@app.invoke
async def order(given: Order, *, client: Client) -> str:
    try:
        dish = await client.invoke(recipe, dish=given.dish)
    except InvocationError as error:
        if error.status == 404:
            raise HTTPException(404, f"no {given.dish} today") from error
        raise
    await client.publish(orders, given)
    return f"{given.dish} in {dish.minutes} minutes"


@app.invoke
async def table(given: Order) -> Place:
    """Say where an order goes: the kitchen asks."""
    return Place(1 + sum(given.id.encode()) % 9)


@app.topic(served, dead_letter="served-dead")
async def on_served(dish: Served, *, client: Client) -> None:
    await client.state("statestore").set(dish.id, dish)
    print(f"order {dish.id}, {dish.dish}, is on table {dish.table}", flush=True)
