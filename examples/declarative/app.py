"""An app that subscribes to nothing itself: a file does, and another one names a foreign host."""

from typing import Any

from daprflow import DaprFlow

app = DaprFlow("declarative-example")
seen: list[tuple[str, Any]] = []


@app.invoke("POST", "/orders")
async def on_order(event: dict[str, Any]) -> None:
    seen.append(("order", event["data"]))
    print(f"order {event['data']}")


@app.invoke("POST", "/vip")
async def on_vip(event: dict[str, Any]) -> None:
    seen.append(("vip", event["data"]))
    print(f"order of a VIP {event['data']}")
