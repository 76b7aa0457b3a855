"""Handlers that work on so many deliveries at once, and put more off."""

from datetime import timedelta

import msgspec

from daprflow import DaprFlow, Topic
from daprflow.reliability import Concurrency


class Scan(msgspec.Struct):
    pages: int


scans = Topic("pubsub", "scans", Scan)
app = DaprFlow("backpressure-example")


@app.topic(scans, max_concurrency=2, dead_letter="scans-dead")
async def on_scan(scan: Scan) -> None:
    print(f"{scan.pages} pages read")


@app.invoke(max_concurrency=Concurrency(8, waiting=16, wait=timedelta(seconds=1)))
async def render(pages: int) -> int:
    return pages * 2


@app.job("report", schedule="@every 1m", max_concurrency=1)
async def report() -> None: ...


@app.invoke
async def loads() -> dict[str, int]:
    return {each.name: each.in_flight + each.waiting for each in app.handler_loads}
