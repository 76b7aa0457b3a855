"""A shop of which several processes run: each tells which one it is."""

import os

from daprflow import Actor, DaprFlow, Topic

app = DaprFlow("shop")
orders = Topic("pubsub", "orders", str)


# --8<-- [start:handlers]
@app.topic(orders, dead_letter="orders-dead")
async def on_order(order: str) -> None:
    print(f"order {order} in {os.getpid()}")


@app.invoke("GET", "/who")
async def who() -> int:
    return os.getpid()


@app.actor
class Counter(Actor[dict[str, int]]):
    async def add(self) -> int:
        self.state["count"] = self.state.get("count", 0) + 1
        print(f"counter {self.id} in {os.getpid()}")
        return self.state["count"]


# --8<-- [end:handlers]
