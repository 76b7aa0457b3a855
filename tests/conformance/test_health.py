"""How a sidecar and its components are: the same told of the embedded engine and a real one."""

import msgspec
import pytest

from daprflow import DaprFlow
from daprflow.health import HealthStatus
from daprflow.settings import Settings
from daprflow.testing import StateStore, TestSidecar
from tests.helpers.app_calls import Caller

app = DaprFlow("shop", settings=Settings())


@pytest.fixture
def dapr_app() -> DaprFlow:
    """An app with a subscription, and one whose component is missing."""
    return app


@app.topic("pubsub", "orders")
async def on_order(order: str) -> None: ...


async def test_each_component_has_a_status(dapr: TestSidecar) -> None:
    """State stores are asked, a broker is loaded, and nothing is written by it."""
    assert await dapr.client.state("statestore").get("k", str) is None  # the test kit makes it now
    report = await dapr.client.health()
    assert report.ready, report
    parts = {each.name: each for each in report.parts if each.part == "component"}
    assert parts["statestore"].probed
    assert not parts["pubsub"].probed
    assert await dapr.saved("statestore") == {}


async def test_a_component_that_must_be_there_and_is_not(dapr: TestSidecar) -> None:
    """A name that the sidecar does not know is a cause."""
    report = await dapr.client.health(components=["nowhere"])
    assert report.status is HealthStatus.DEGRADED
    assert [each.name for each in report.causes] == ["nowhere"]


async def test_an_app_beside_it_is_ready(dapr: TestSidecar) -> None:
    """The probe of an app whose sidecar has everything is answered with 200."""
    answer = await Caller(app).get("/readyz")
    assert (answer.status, answer.json) == (200, {"status": "ready", "causes": []})


async def test_a_failing_component_is_told_without_its_words() -> None:
    """Only the embedded one can be made to fail: the code is told, the rest is in its log."""
    async with TestSidecar(app) as dapr:
        assert await dapr.client.state("statestore").get("k", str) is None
        dapr.fail(StateStore("statestore"))
        report = await dapr.client.health(max_age=0)
        (cause,) = report.causes
        assert (cause.name, cause.status) == ("statestore", HealthStatus.DEGRADED)
        assert "ERR_STATE_GET" in cause.reason
        assert msgspec.json.decode(msgspec.json.encode(report))["status"] == "degraded"
        assert (await Caller(app).get("/readyz")).json["causes"][0]["name"] == "statestore"
