import json
from pathlib import Path

import yaml

from daprflow import Status
from daprflow.testing import StateStore, TestSidecar
from examples.health.app import Order, app, orders, stores
from tests.helpers.asgi import call_asgi

HERE = Path(__file__).parent


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
        shown = (HERE / "degraded.json").read_bytes().replace(b"state.redis", b"state.in-memory")
        assert json.loads(answer.body) == json.loads(shown)


async def test_the_probes_of_a_cluster_ask_what_the_app_answers() -> None:
    """Both paths of the manifest are there, and answer with 200."""
    probes = yaml.safe_load((HERE / "probes.yaml").read_text(encoding="utf-8"))
    async with TestSidecar(app):
        for each in probes.values():
            answer = await call_asgi(app, "GET", each["httpGet"]["path"])
            assert answer.status == 200
