"""Peer: FastStream on a Redis stream with a consumer group, which publishes and handles."""

import asyncio
import sys

import uvloop
from faststream import FastStream
from faststream.redis import RedisBroker, StreamSub
from pydantic import BaseModel

from benchmarks.peers.flowing import Counter, take_orders


class Order(BaseModel):
    """The payload."""

    id: int


async def main(url: str) -> None:
    """Handle what is published."""
    counter = Counter()
    broker = RedisBroker(url, logger=None)
    stream = StreamSub("faststream-orders", group="bench", consumer="one", polling_interval=10)

    @broker.subscriber(stream=stream)  # type: ignore[untyped-decorator,unused-ignore]
    async def on_order(order: Order) -> None:
        int(order.id)
        counter.handled()

    app = FastStream(broker, logger=None)
    running = asyncio.create_task(app.run())
    await asyncio.sleep(1.0)
    print("ready", flush=True)
    await take_orders(
        counter, lambda number: broker.publish(Order(id=number), stream="faststream-orders")
    )
    running.cancel()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1]))
