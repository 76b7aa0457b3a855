from datetime import timedelta

import pytest

from daprflow import DaprFlow, InvocationError, Status
from daprflow.testing import StateStore, TestSidecar

from .app import Parcel, app, track
from .contracts import Scan, scans, unread


@pytest.fixture
def dapr_app() -> DaprFlow:
    return app


async def test_a_parcel_is_followed(dapr: TestSidecar) -> None:
    """The places stand in the order of the scans; one that comes twice counts once."""
    for place in ("Lyon", "Basel", "Basel"):
        assert await dapr.publish(scans, Scan("p1", place)) is Status.SUCCESS
    assert await dapr.invoke(track, parcel="p1") == Parcel(["Lyon", "Basel"])


async def test_a_parcel_that_nobody_knows(dapr: TestSidecar) -> None:
    """Who asks for it is answered 404."""
    with pytest.raises(InvocationError) as caught:
        await dapr.invoke(track, parcel="p1")
    assert caught.value.status == 404


async def test_a_parcel_at_home_stays_there(dapr: TestSidecar) -> None:
    """A later scan is given up, and kept for a human."""
    await dapr.publish(scans, Scan("p1", "home"))
    assert await dapr.publish(scans, Scan("p1", "Lyon")) is Status.DROP
    assert len(dapr.published(unread)) == 1


async def test_a_store_that_is_away(dapr: TestSidecar) -> None:
    """A scan waits for the state store, and is not lost."""
    dapr.fail(StateStore("statestore"), times=3)
    assert await dapr.publish(scans, Scan("p1", "Lyon")) is Status.RETRY
    await dapr.advance(timedelta(minutes=1))
    assert await dapr.invoke(track, parcel="p1") == Parcel(["Lyon"])
