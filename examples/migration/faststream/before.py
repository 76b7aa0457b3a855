"""Before: a FastStream service on Redis streams, with retries and dead letters of its own."""

from faststream import AckPolicy, FastStream
from faststream.exceptions import NackMessage
from faststream.redis import RedisBroker, StreamSub
from faststream.redis.annotations import RedisStreamMessage
from pydantic import BaseModel


# --8<-- [start:types]
class Order(BaseModel):
    id: str
    total: int


class Receipt(BaseModel):
    order: str


# --8<-- [end:types]

broker = RedisBroker("redis://127.0.0.1:6379")
app = FastStream(broker)


# --8<-- [start:subscribe]
@broker.subscriber(
    stream=StreamSub("orders", group="billing", consumer="billing-1"),
    ack_policy=AckPolicy.NACK_ON_ERROR,  # a failed message stays pending
)
@broker.publisher(stream="receipts")
async def on_order(order: Order) -> Receipt:
    return await bill(order)


async def bill(order: Order) -> Receipt:
    if order.total == 0:
        raise NackMessage  # the price is not known yet
    print(f"billed {order.id}", flush=True)
    return Receipt(order=order.id)


# --8<-- [end:subscribe]


# --8<-- [start:retry]
@broker.subscriber(
    stream=StreamSub("orders", group="billing", consumer="billing-retry", min_idle_time=5_000),
    ack_policy=AckPolicy.NACK_ON_ERROR,
)
async def on_pending(order: Order, message: RedisStreamMessage) -> None:
    """Take what has been pending for five seconds, and give up after ten times."""
    if await message.get_delivery_count() > 10:
        await broker.publish(order, stream="orders-dead")
        return
    await broker.publish(await bill(order), stream="receipts")


# --8<-- [end:retry]


# --8<-- [start:publish]
@app.after_startup
async def place() -> None:
    await broker.publish(Order(id="o1", total=5), stream="orders")


# --8<-- [end:publish]
