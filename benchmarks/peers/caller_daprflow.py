"""Measured: the client of daprflow, which calls a sidecar as often as it can."""

import msgspec
import uvloop

from benchmarks.peers.rates import take_orders
from daprflow import Client, Topic


class Order(msgspec.Struct):
    """What is stored and published, as an app declares it."""

    id: str
    total: int


ORDER = Order("o-1", 120)
orders = Topic("events", "orders", Order)


async def main() -> None:
    """Make typed calls."""
    async with Client() as client:
        store = client.state("bench")
        await store.set("key", ORDER)
        await take_orders(
            {
                "get": lambda: store.get("key", Order),
                "set": lambda: store.set("key", ORDER),
                "publish": lambda: client.publish(orders, ORDER),
                "invoke": lambda: client.request(
                    "bench", "quote", b'{"id":"o-1","total":120}', content_type="application/json"
                ),
            }
        )


if __name__ == "__main__":
    uvloop.run(main())
