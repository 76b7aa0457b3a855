from daprflow import Status
from daprflow.testing import StateStore, TestSidecar
from examples.health.app import Order, app, orders, stores
from tests.helpers.asgi import call_asgi


async def test_the_probe_names_what_fails() -> None:
    """A component that fails degrades the app, and code sees the same."""
    async with TestSidecar(app) as dapr:
        assert await dapr.publish(orders, Order("1", 250)) is Status.SUCCESS
        assert (await dapr.invoke(stores))["statestore"] == "ready"
        dapr.fail(StateStore("statestore"))
        report = await app.health.check()
        assert [each.name for each in report.causes] == ["statestore"]
        answer = await call_asgi(app, "GET", "/readyz")
        assert answer.status == 200
        assert b'"status":"degraded"' in answer.body
