import asyncio

from daprflow import Status
from daprflow.testing import TestSidecar
from examples.backpressure.app import Scan, app, loads, render, scans


async def test_deliveries_are_worked_on() -> None:
    """More at a time than may run only take longer."""
    async with TestSidecar(app) as dapr:
        assert await dapr.publish(scans, Scan(3)) is Status.SUCCESS
        pages = await asyncio.gather(*(dapr.invoke(render, number) for number in range(20)))
        assert pages == [number * 2 for number in range(20)]
        assert await dapr.invoke(loads) == {"on_scan": 0, "render": 0, "report": 0}
