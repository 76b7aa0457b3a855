"""A FastAPI application with routes and a lifespan of its own gets handlers of Dapr's events."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Request
from pydantic import BaseModel, Field

from daprflow import Client, DaprFlow, Topic


# --8<-- [start:before]
class Order(BaseModel):
    id: str
    total: Annotated[int, Field(gt=0)]


@dataclass
class Audit:
    """Something that the application opens when it starts."""

    lines: list[str] = field(default_factory=list)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    app.state.audit = Audit()
    yield


def audit(request: Request) -> Audit:
    found: Audit = request.app.state.audit
    return found


app = FastAPI(title="Shop", lifespan=lifespan)
# --8<-- [end:before]


# --8<-- [start:added]
orders = Topic("pubsub", "orders", Order)
service = DaprFlow("shop")


@service.topic(orders, dead_letter="orders-unreadable")
async def on_order(order: Order, *, client: Client) -> None:
    await client.state("statestore").set(order.id, order)
    print(f"order {order.id}: {order.total}", flush=True)


service.install(app)
# --8<-- [end:added]


# --8<-- [start:routes]
@app.post("/orders", status_code=202)
async def place(order: Order, log: Annotated[Audit, Depends(audit)]) -> str:
    await service.client.publish(orders, order)
    log.lines.append(order.id)
    return f"order {order.id} is on its way"


@app.get("/orders/{order_id}")
async def show(order_id: str) -> Order:
    item = await service.client.state("statestore").get(order_id, Order)
    if item is None:
        raise HTTPException(404, f"there is no order '{order_id}'")
    return item.value


@app.get("/audit")
async def placed(log: Annotated[Audit, Depends(audit)]) -> list[str]:
    return log.lines


# --8<-- [end:routes]
