"""A program that OpenTelemetry's variables alone have traced: an app, its sidecar, one event."""

import asyncio
import sys

from daprflow import Client, DaprFlow, Topic
from daprflow.testing import TestSidecar

orders = Topic("pubsub", "orders", str)
app = DaprFlow("shop")


@app.topic(orders)
async def on_order(order: str, *, client: Client) -> None:
    """Keep an order."""
    await client.state("statestore").set("order", order)


async def main(runs: int) -> None:
    """Publish one event in each run of the app."""
    for _ in range(runs):
        async with TestSidecar(app) as dapr:
            await dapr.publish(orders, "o1")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
    print("done")  # noqa: T201 - what the test waits for
