"""Before: a FastAPI service with ``dapr.ext.fastapi`` and the official client."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from dapr.actor import Actor, ActorInterface, ActorProxy, actormethod
from dapr.actor.id import ActorId
from dapr.aio.clients import DaprClient
from dapr.clients.exceptions import DaprGrpcError
from dapr.clients.grpc._state import Concurrency, StateOptions
from dapr.ext.fastapi import DaprActor, DaprApp
from fastapi import FastAPI, Response
from pydantic import BaseModel


# --8<-- [start:types]
class Order(BaseModel):
    id: str
    total: int


class OrderEvent(BaseModel):
    """The envelope, as far as the handlers look at it."""

    id: str
    data: Order


# --8<-- [end:types]


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    await dapr_actor.register_actor(Cart)
    yield


app = FastAPI(lifespan=lifespan)
dapr_app = DaprApp(app)
dapr_actor = DaprActor(app)


# --8<-- [start:publish]
@app.post("/orders")
async def place(order: Order) -> dict[str, str]:
    async with DaprClient() as client:
        await client.publish_event(
            pubsub_name="pubsub",
            topic_name="orders",
            data=order.model_dump_json(),
            data_content_type="application/json",
        )
    return {"placed": order.id}


# --8<-- [end:publish]


# --8<-- [start:subscribe]
@dapr_app.subscribe(pubsub="pubsub", topic="orders", dead_letter_topic="orders-dead")
async def on_order(event: OrderEvent) -> dict[str, str] | None:
    if event.data.total < 0:
        return {"status": "DROP"}
    await add(event.data.total)
    return None


@dapr_app.subscribe(pubsub="pubsub", topic="orders-dead")
async def on_dead(event: dict[str, object]) -> None:
    print("given up:", event["data"], flush=True)


# --8<-- [end:subscribe]


# --8<-- [start:state]
async def add(amount: int) -> None:
    async with DaprClient() as client:
        while True:
            stored = await client.get_state("statestore", "total")
            total = (json.loads(stored.data) if stored.data else 0) + amount
            try:
                await client.save_state(
                    "statestore",
                    "total",
                    json.dumps(total),
                    etag=stored.etag or None,
                    options=StateOptions(concurrency=Concurrency.first_write),
                )
            except DaprGrpcError as error:
                if "etag mismatch" in str(error):
                    continue
                raise
            return


# --8<-- [end:state]


# --8<-- [start:invoke]
@app.post("/total")
async def total() -> Response:
    async with DaprClient() as client:
        stored = await client.get_state("statestore", "total")
    return Response(stored.data or b"0", media_type="application/json")


# --8<-- [end:invoke]


# --8<-- [start:actor]
class CartInterface(ActorInterface):
    @actormethod(name="Add")
    async def add(self, sku: str) -> int: ...


class Cart(Actor, CartInterface):
    async def add(self, sku: str) -> int:
        _, items = await self._state_manager.try_get_state("items")
        items = [*(items or []), sku]
        await self._state_manager.set_state("items", items)
        return len(items)


@app.post("/carts/{name}/{sku}")
async def put(name: str, sku: str) -> int:
    cart = ActorProxy.create("Cart", ActorId(name), CartInterface)
    return await cart.Add(sku)


# --8<-- [end:actor]
