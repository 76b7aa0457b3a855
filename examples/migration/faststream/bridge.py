"""While both run: what still arrives on FastStream's stream is handed on to the Dapr topic."""

from faststream import AckPolicy, FastStream
from faststream.redis import RedisBroker, StreamSub
from pydantic import BaseModel

from daprflow import Client, Topic


class Order(BaseModel):
    id: str
    total: int


broker = RedisBroker("redis://127.0.0.1:6379")
app = FastStream(broker)
client = Client()


@broker.subscriber(
    stream=StreamSub("orders", group="bridge", consumer="bridge-1", last_id="0"),
    ack_policy=AckPolicy.NACK_ON_ERROR,
)
async def hand_on(order: Order) -> None:
    await client.publish(Topic("pubsub", "orders", Order), order)


@app.after_shutdown
async def close() -> None:
    await client.close()
