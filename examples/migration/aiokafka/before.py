"""Before: a consumer loop, a producer, offsets and dead letters by hand, with aiokafka."""

import asyncio
import json
import logging
import signal
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition

logger = logging.getLogger(__name__)


# --8<-- [start:types]
@dataclass
class Order:
    id: str
    customer: str
    total: int


def encode(order: Order) -> bytes:
    return json.dumps(asdict(order)).encode()


def decode(data: bytes) -> Order:
    order = Order(**json.loads(data))
    if not isinstance(order.total, int):
        raise TypeError(f"total is {type(order.total).__name__}")
    return order


# --8<-- [end:types]

ATTEMPTS = 10


# --8<-- [start:consume]
async def consume(consumer: AIOKafkaConsumer, producer: AIOKafkaProducer) -> None:
    async for record in consumer:
        try:
            await attempt(record)
        except Exception as error:
            logger.exception("given up: %s %d/%d", record.topic, record.partition, record.offset)
            await bury(producer, record, error)
        await consumer.commit({TopicPartition(record.topic, record.partition): record.offset + 1})


async def attempt(record: ConsumerRecord[bytes, bytes]) -> None:
    order = decode(record.value or b"")  # what cannot be decoded is not tried again
    for number in range(1, ATTEMPTS + 1):
        try:
            await on_order(order)
        except ConnectionError:
            if number == ATTEMPTS:
                raise
            await asyncio.sleep(min(0.5 * 2**number, 60))  # the whole partition waits
        else:
            return


async def bury(
    producer: AIOKafkaProducer, record: ConsumerRecord[bytes, bytes], error: Exception
) -> None:
    await producer.send_and_wait(
        "orders-dead",
        record.value,
        key=record.key,
        headers=[*record.headers, ("error", type(error).__name__.encode())],
    )


async def on_order(order: Order) -> None:
    if order.total < 0:
        raise ValueError("a negative total is never right")
    print(f"{order.customer} pays {order.total}", flush=True)


# --8<-- [end:consume]


# --8<-- [start:produce]
async def place(producer: AIOKafkaProducer, order: Order) -> None:
    await producer.send_and_wait("orders", encode(order), key=order.customer.encode())


# --8<-- [end:produce]


# --8<-- [start:run]
async def main(settings: Mapping[str, str]) -> None:
    servers = settings.get("KAFKA", "localhost:9092")
    consumer = AIOKafkaConsumer(
        "orders",
        bootstrap_servers=servers,
        group_id="billing",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    producer = AIOKafkaProducer(bootstrap_servers=servers, acks="all", enable_idempotence=True)
    async with producer, consumer:
        await place(producer, Order("o1", "ann", 5))
        work = asyncio.create_task(consume(consumer, producer))
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, work.cancel)
        await asyncio.gather(work, return_exceptions=True)


# --8<-- [end:run]

if __name__ == "__main__":
    import os

    asyncio.run(main(os.environ))
