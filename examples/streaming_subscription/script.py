"""Print orders as they come: a program without an app, beside any sidecar."""

from asyncio import run
from contextlib import suppress

import msgspec

from daprflow import Client, Topic


class Order(msgspec.Struct):
    id: str
    total: int


orders = Topic("pubsub", "orders", Order)


async def main() -> None:
    """Run it with ``daprflow run`` or ``dapr run``; Ctrl-C ends it."""
    async with Client() as client, client.subscribe(orders) as messages:
        print("waiting for orders")
        async for message in messages:
            print(message.data)
            await message.ack()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        run(main())
