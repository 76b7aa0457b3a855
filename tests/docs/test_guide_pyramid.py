"""The first two kinds of tests of the guide."""

from datetime import timedelta

from daprflow import Client, DaprFlow, Retry, Status, Topic
from daprflow.testing import TestSidecar

parcels = Topic("pubsub", "parcels", int)
app = DaprFlow("guide")
weights: list[int] = []


@app.activity
async def price(weight: int) -> int:
    return 4 + 2 * weight


@app.topic(parcels, dead_letter="parcels-dead")
async def on_parcel(weight: int, *, client: Client) -> None:
    if weight > 30 and len(weights) < 3:
        weights.append(weight)
        raise Retry("no van is free")
    await client.state("statestore").set("last", weight)


# --8<-- [start:function]
async def test_a_heavy_parcel_costs_more() -> None:
    """No sidecar, no app: a function."""
    assert await price(10) == 24


# --8<-- [end:function]


# --8<-- [start:app]
async def test_a_parcel_waits_for_a_van() -> None:
    """It is tried again until a van is free, which takes the test no time."""
    async with TestSidecar(app) as dapr:
        assert await dapr.publish(parcels, 31) is Status.RETRY
        await dapr.advance(timedelta(minutes=5))
        assert await dapr.saved("statestore", int) == {"last": 31}


# --8<-- [end:app]
