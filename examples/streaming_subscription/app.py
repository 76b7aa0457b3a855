"""Orders, taken from a stream by workers of the app: no handler, and a pace of their own."""

from asyncio import TaskGroup
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
from starlette.applications import Starlette

from daprflow import DaprFlow, Drop, Topic
from daprflow.client import Subscription

WORKERS = 4


class Order(msgspec.Struct):
    id: str
    total: int


orders = Topic("pubsub", "orders", Order)
paid = Topic("pubsub", "paid", str)


@asynccontextmanager
async def lifespan(_: Starlette) -> AsyncIterator[None]:
    """Subscribe before the app is up; on the way out, give back what is not done."""
    wanted = app.client.subscribe(orders, dead_letter="orders-dead", max_in_flight=WORKERS)
    async with wanted as messages, TaskGroup() as group:
        workers = [group.create_task(work(messages)) for _ in range(WORKERS)]
        yield
        for worker in workers:
            worker.cancel()


app = DaprFlow("payments", lifespan=lifespan)


async def work(messages: Subscription[Order]) -> None:
    async for message in messages:
        async with message:  # done at its end; delivered again when it raises
            await pay(message.data)


async def pay(order: Order) -> None:
    if order.total < 0:
        raise Drop("negative total")
    await app.client.publish(paid, order.id)
    print(f"paid {order.id}")
