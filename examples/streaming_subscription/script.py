"""Print orders as they come: a program without an app, beside any sidecar."""

from asyncio import run

from daprflow import Client
from examples.streaming_subscription.app import orders


async def main() -> None:
    """Run it with ``daprflow run`` or ``dapr run``; Ctrl-C ends it."""
    async with Client() as client, client.subscribe(orders) as messages:
        async for message in messages:
            print(message.data)
            await message.ack()


if __name__ == "__main__":
    run(main())
