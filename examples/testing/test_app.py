import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from daprflow import DaprFlow, SidecarError, SidecarUnavailable, Status
from daprflow.testing import StateStore, TestSidecar, explore
from examples.testing.app import Archive, Bid, app, bids, close, estimate, sold

ANN = Bid("vase", "ann", 100)
BOB = Bid("vase", "bob", 200)


async def fifty(lot: str) -> int:
    return 50


# --8<-- [start:fixtures]
@pytest.fixture
def dapr_app() -> DaprFlow:
    return app


@pytest.fixture
def dapr_options() -> Mapping[str, Any]:
    return {"providers": {Archive: Archive()}}


async def test_the_best_bid_wins(dapr: TestSidecar) -> None:
    """The highest bid is kept, and whoever made it gets the lot."""
    dapr.fake(estimate, fifty)
    assert await dapr.publish(bids, BOB) is Status.SUCCESS
    assert await dapr.publish(bids, ANN) is Status.SUCCESS
    assert await dapr.saved("statestore", Bid) == {"vase": BOB}
    assert await dapr.invoke(close, "vase") == "bob"
    assert dapr.published(sold) == [BOB]
    # --8<-- [end:fixtures]


# --8<-- [start:faults]
async def test_a_bid_survives_a_store_that_is_away() -> None:
    """What the store refuses is delivered again, and nothing is lost."""
    async with TestSidecar(app) as dapr:
        dapr.fake(estimate, fifty)
        fault = dapr.fail(StateStore("statestore"), times=3, error="disk full")
        assert await dapr.publish(bids, ANN) is Status.RETRY
        await dapr.advance(timedelta(minutes=1))
        assert await dapr.saved("statestore", Bid) == {"vase": ANN}
        assert fault.hits == 3


async def test_a_valuer_that_is_late() -> None:
    """Until the other app has answered the bid does not count."""
    async with TestSidecar(app) as dapr:
        dapr.fake(estimate, fifty)
        dapr.delay(estimate, timedelta(seconds=20))
        await dapr.client.publish(bids, ANN)
        await dapr.advance(timedelta(seconds=19))
        assert await dapr.saved("statestore") == {}
        await dapr.advance(timedelta(seconds=1))
        assert await dapr.saved("statestore", Bid) == {"vase": ANN}


async def test_without_a_sidecar_nothing_is_sold() -> None:
    """A lost sidecar and a broker that refuses are errors of their own."""
    async with TestSidecar(app) as dapr:
        dapr.fake(estimate, fifty)
        await dapr.publish(bids, ANN)
        async with dapr.disconnected():
            with pytest.raises(SidecarUnavailable):
                await app.client.publish(sold, ANN)
        with dapr.fail(sold), pytest.raises(SidecarError):
            await app.client.publish(sold, ANN)
        assert dapr.published(sold) == []
        # --8<-- [end:faults]


# --8<-- [start:orders]
async def test_no_order_of_two_bids_loses_the_higher() -> None:
    """Whatever happens first, the higher bid is the one that is kept."""

    async def two_bids(dapr: TestSidecar) -> None:
        dapr.fake(estimate, fifty)
        await asyncio.gather(dapr.publish(bids, ANN), dapr.publish(bids, BOB))
        for _ in range(3):
            await dapr.advance(timedelta(minutes=1))
        assert await dapr.saved("statestore", Bid) == {"vase": BOB}

    await explore(lambda seed: TestSidecar(app, seed=seed), two_bids, seeds=20)
    # --8<-- [end:orders]


# --8<-- [start:peers]
async def test_two_apps_in_one_engine() -> None:
    """The other team's app answers for itself."""
    valuer = DaprFlow("valuer")

    @valuer.invoke(name="estimate")
    async def value(lot: str) -> int:
        return 150

    async with TestSidecar(app, peers=[valuer]) as dapr:
        await dapr.publish(bids, ANN)
        assert await dapr.invoke(close, "vase") == ""
        await dapr.publish(bids, BOB)
        assert await dapr.invoke(close, "vase") == "bob"
        # --8<-- [end:peers]
